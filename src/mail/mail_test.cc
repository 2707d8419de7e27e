// Addresses, messages, wire form, replies and command lines: each rule with its refusal.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include "mail/address.h"
#include "mail/message.h"
#include "mail/options.h"
#include "mail/smtp_reply.h"
#include "mail/wire.h"

namespace bulkhead::mail {
namespace {

using Strings = std::vector<std::string>;

Strings addresses(std::string_view list) {
  Strings out;
  parse_addresses(list, &out);
  return out;
}

std::string wire(const Message& message) {
  std::string out;
  const std::function<bool(std::string_view)> write = [&out](std::string_view piece) {
    out += piece;
    return true;
  };
  EXPECT_TRUE(message.write_data(write));
  return out;
}
std::string encoded(std::string_view text) {
  std::string out;
  const WireEncoder::Write write = [&out](std::string_view piece) {
    out += piece;
    return true;
  };
  WireEncoder encoder(write);
  encoder.add(text);
  EXPECT_TRUE(encoder.finish());
  return out;
}

TEST(Addresses, OfAListInEveryForm) {
  EXPECT_EQ(addresses("a@b"), Strings{"a@b"});
  EXPECT_EQ(addresses("A B <a@b>, \"c, d\" <c@d> (note, more), e@f"),
            (Strings{"a@b", "c@d", "e@f"}));
  EXPECT_EQ(addresses("team: a@b, c@d; e@f"), (Strings{"a@b", "c@d", "e@f"}));
  EXPECT_EQ(addresses("undisclosed-recipients:;"), Strings{});
  EXPECT_EQ(addresses("<@r1,@r2:a@b>"), Strings{"a@b"});
  EXPECT_EQ(addresses(" root ,\n\tb@c"), (Strings{"root", "b@c"}));
  EXPECT_EQ(addresses("\"odd name\"@b"), Strings{"\"odd name\"@b"});
  EXPECT_EQ(addresses("(a (nested\\) comment) b) a@b"), Strings{"a@b"});
  EXPECT_EQ(addresses(""), Strings{});
}

TEST(Addresses, ThatWouldBeAnotherCommandAreRefused) {
  for (const char* text : {"a@b\r\nRCPT TO:<c@d>", "a b@c", "a@b>", "<a@b", "a\x01@b", "\"a@b",
                           "a@", "@b", "", "\"a\\\r\"@b", "\"a\\\x7f\"@b"}) {
    EXPECT_FALSE(is_address(text)) << text;
  }
  EXPECT_FALSE(is_address(std::string(kAddressMax + 1, 'a')));
  EXPECT_TRUE(is_address(std::string(kAddressMax, 'a')));
  Strings out;
  EXPECT_EQ(parse_addresses("<a b@c>, d\x7f@e, f@g", &out), 1u);  // blanks vanish, DEL does not
  EXPECT_EQ(out, (Strings{"ab@c", "f@g"}));
}

TEST(Message, TakesRecipientsFromItsHeaderAndHidesBcc) {
  auto message = Message::parse("To: a@b,\n c@d\nBCC: e@f\nSubject: x\n\nTo: g@h\n", false);
  Strings to;
  EXPECT_EQ(message.collect_recipients(&to), 0u);
  EXPECT_EQ(to, (Strings{"a@b", "c@d", "e@f"}));
  message.complete({"me@here", "DATE", "<id>", ""});
  EXPECT_EQ(wire(message),
            "To: a@b,\r\n c@d\r\nSubject: x\r\nDate: DATE\r\nFrom: me@here\r\n"
            "Message-ID: <id>\r\n\r\nTo: g@h\r\n");
}

TEST(Message, GoesToTheResentOnesOnly) {
  auto message = Message::parse("To: a@b\nResent-Bcc: c@d\n\n", false);
  Strings to;
  message.collect_recipients(&to);
  EXPECT_EQ(to, Strings{"c@d"});
}

TEST(Message, KeepsWhatItHasAndSaysItsSite) {
  auto message = Message::parse(
      "date: D\nFROM: F\nmessage-id: I\nCc: x@y\nX-Bulkhead-Site: forged\nReturn-Path: <r>\n\n",
      false);
  message.complete({"me", "DATE", "<id>", "site1\nBcc: q@r"});
  EXPECT_EQ(wire(message),
            "date: D\r\nFROM: F\r\nmessage-id: I\r\nCc: x@y\r\n"
            "X-Bulkhead-Site: site1 Bcc: q@r\r\n\r\n");
}

TEST(Message, WithoutARecipientInSightSaysSo) {
  auto message = Message::parse("Bcc: a@b\n\nhi", false);
  message.complete({"me", "D", "I", ""});
  EXPECT_NE(wire(message).find("\r\nTo: undisclosed-recipients:;\r\n\r\nhi\r\n"),
            std::string::npos);
}

TEST(Message, BeginsItsBodyWhereTheHeaderEnds) {
  EXPECT_EQ(wire(Message::parse("no header here\nmore\n", false)),
            "\r\nno header here\r\nmore\r\n");
  EXPECT_EQ(wire(Message::parse("A: b\nno header\n", false)), "A: b\r\n\r\nno header\r\n");
  EXPECT_EQ(wire(Message::parse("A: b\r\n\r\nC: d\r\n", false)), "A: b\r\n\r\nC: d\r\n");
  EXPECT_EQ(wire(Message::parse("From x Mon\nA: b\n", false)), "A: b\r\n\r\n");
  EXPECT_EQ(wire(Message::parse("", false)), "\r\n");
  EXPECT_EQ(wire(Message::parse(" folded\n", false)), "\r\n folded\r\n");
}

TEST(Message, EndsAtALoneDotUnlessToldNotTo) {
  EXPECT_EQ(wire(Message::parse("A: b\n\nx\n.\ny\n", true)), "A: b\r\n\r\nx\r\n");
  EXPECT_EQ(wire(Message::parse("A: b\n\nx\n.\ny\n", false)), "A: b\r\n\r\nx\r\n..\r\ny\r\n");
  EXPECT_EQ(wire(Message::parse("A: b\n\nx\n.", true)), "A: b\r\n\r\nx\r\n");
}

TEST(Message, FindsAndUnfolds) {
  auto message = Message::parse("subject:  a\n b\n\n", false);
  EXPECT_EQ(message.find("Subject"), "a  b");
  EXPECT_EQ(message.find("X"), "");
  EXPECT_FALSE(message.is_8bit());
  EXPECT_TRUE(Message::parse("\n\xc3\xa4", false).is_8bit());
  EXPECT_TRUE(Message::parse("A: \xc3\xa4\n\nx", false).is_8bit());
}

TEST(Wire, DoublesDotsAndEndsEveryLineOnce) {
  EXPECT_EQ(encoded(".a\nb.\n..c"), "..a\r\nb.\r\n...c\r\n");
  EXPECT_EQ(encoded("a\r\nb\r\r\nc"), "a\r\nb\r\nc\r\n");
  EXPECT_EQ(encoded(std::string_view("a\0b", 3)), "ab\r\n");
  EXPECT_EQ(encoded(""), "");
}

TEST(Wire, CannotBeEndedByItsText) {
  // What some servers took for the end of a mail ("SMTP smuggling").
  for (const char* text : {"a\n.\nMAIL FROM:<x>", "a\r.\rMAIL", "a\r\n.\rMAIL", "a\r.\r\nMAIL"}) {
    const std::string out = encoded(text);
    EXPECT_EQ(out.find("\r\n.\r\n"), std::string::npos) << text;
    EXPECT_NE(out.find("\r\n..\r\n"), std::string::npos) << text;
  }
}

TEST(Wire, BreaksLongLines) {
  for (const char* unit : {"x", "\xc3\xa4", "\xf0\x9f\x98\x80", "."}) {
    std::string text;
    while (text.size() < 3000) text += unit;
    std::string out = encoded(text);
    if (unit[0] == '.') out.erase(0, 1);  // the doubled one is not counted
    size_t lines = 0;
    for (size_t at = 0; at < out.size(); ++lines) {
      const size_t end = out.find("\r\n", at);
      EXPECT_TRUE(end - at <= kLineMax);
      at = end + 2;
    }
    EXPECT_GE(lines, 4u);
    std::string joined;
    for (size_t i = 0; i + 2 < out.size(); ++i) {
      if (out.compare(i, 3, "\r\n ") == 0) {
        i += 2;
        EXPECT_NE(static_cast<unsigned char>(out[i + 1]) & 0xc0, 0x80);
      } else {
        joined += out[i];
      }
    }
    EXPECT_TRUE(joined == text) << unit;
  }
}

TEST(Wire, StopsWhenItsReaderDoes) {
  const WireEncoder::Write write = [](std::string_view) { return false; };
  WireEncoder encoder(write);
  encoder.add("x");
  EXPECT_FALSE(encoder.finish());
}

Reply reply_of(std::string_view bytes, size_t piece) {
  ReplyReader reader;
  for (size_t at = 0; at < bytes.size();) {
    size_t used = 0;
    const auto step = reader.feed(bytes.substr(at, piece), &used);
    at += used;
    if (step == ReplyReader::Step::kDone) return reader.take();
    if (step == ReplyReader::Step::kBroken) return {-1, ""};
  }
  return {};
}

TEST(ReplyReader, ReadsOneAndSeveralLinesInAnyPieces) {
  for (size_t piece : {1, 2, 100}) {
    EXPECT_EQ(reply_of("220 hi\r\n", piece).text, "hi");
    const Reply hello =
        reply_of("250-me\r\n250-SIZE 1000\r\n250-8bitmime\n250 SMTPUTF8\r\n", piece);
    EXPECT_EQ(hello.code, 250);
    const Capabilities can = read_capabilities(hello.text);
    EXPECT_TRUE(can.eight_bit && can.utf8 && can.has_size);
    EXPECT_EQ(can.size_max, 1000u);
    EXPECT_EQ(reply_of("354\r\n", piece).code, 354);
  }
  EXPECT_FALSE(read_capabilities("SIZE 5\nHELP").has_size);  // the first line is a name
}

TEST(ReplyReader, RefusesWhatIsNoReply) {
  EXPECT_EQ(reply_of("HTTP/1.1 400 Bad\r\n", 5).code, -1);
  EXPECT_EQ(reply_of("99\r\n", 5).code, -1);
  EXPECT_EQ(reply_of("199 x\r\n", 5).code, -1);
  EXPECT_EQ(reply_of("250xok\r\n", 5).code, -1);
  EXPECT_EQ(reply_of("250-a\r\n251 b\r\n", 5).code, -1);
  EXPECT_EQ(reply_of(std::string(5000, '2'), 100).code, -1);
  std::string endless;
  for (int i = 0; i < 300; ++i) endless += "250-x\r\n";
  EXPECT_EQ(reply_of(endless, 100).code, -1);
}

TEST(Reply, IsShownAsOneLine) {
  EXPECT_EQ((Reply{550, "no\nsuch\x1b user"}).describe(), "550 no such  user");
}

TEST(Options, AreSendmails) {
  auto o = parse_options({"-ti", "-fa@b", "-F", "Me", "-oi", "-odb", "-bm", "-N", "never", "-q30m",
                          "-v", "--", "-x@y", "c@d, e@f"});
  ASSERT_TRUE(o) << o.error().text;
  EXPECT_TRUE(o->recipients_from_headers && o->dot_is_text && o->has_sender);
  EXPECT_EQ(o->sender, "a@b");
  EXPECT_EQ(o->full_name, "Me");
  EXPECT_EQ(o->recipients, (Strings{"-x@y", "c@d", "e@f"}));
  EXPECT_TRUE(parse_options({"-oi"})->dot_is_text);
  EXPECT_FALSE(parse_options({"-odi"})->dot_is_text);
  EXPECT_EQ(parse_options({"-bp"})->mode, Options::Mode::kQueue);
  EXPECT_EQ(parse_options({"-f", "<>"})->sender, "");
  EXPECT_EQ(parse_options({"-r", "A <a@b>"})->sender, "a@b");
}

TEST(Options, OfOurs) {
  auto o =
      parse_options({"--relay=h:26", "--from=a@b", "--site=s", "--no-tempfail", "--timeout=5"});
  ASSERT_TRUE(o);
  EXPECT_EQ(o->relay, "h:26");
  EXPECT_EQ(o->from, "a@b");
  EXPECT_EQ(o->site, "s");
  EXPECT_TRUE(o->hard_failures);
  EXPECT_EQ(o->timeout_max.count(), 5000);
}

TEST(Options, ThatCannotBeHonouredAreRefused) {
  for (const char* flag :
       {"-X/tmp/log", "-bs", "-bd", "-bi", "-f", "-Z", "--relay", "--relay=", "--timeout=0",
        "--timeout=3601", "--timeout=x", "--from=a b", "--huh", "-fa@b\x1b", "a\x01@b"}) {
    EXPECT_FALSE(parse_options({flag})) << flag;
  }
}

TEST(Date, IsRfc5322) {
  ::setenv("TZ", "UTC-5:30", 1);
  ::tzset();
  EXPECT_EQ(format_date(1795447320), "Mon, 23 Nov 2026 20:52:00 +0530");
  ::setenv("TZ", "XST3", 1);
  ::tzset();
  EXPECT_EQ(format_date(0), "Wed, 31 Dec 1969 21:00:00 -0300");
}

}  // namespace
}  // namespace bulkhead::mail
