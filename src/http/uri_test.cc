#include "http/uri.h"

#include <gtest/gtest.h>

namespace bulkhead::http {
namespace {

struct PathCase {
  std::string_view raw, want;  // want "" = refused
};

TEST(NormalisePath, ResolvesAsNginx) {
  const PathCase cases[] = {
      {"/a%0ab", "/a\nb"},
      {"/a%2fb", "/a/b"},
      {"/a/..", "/"},
      {"/a/.", "/a/"},
      {"/a/./b", "/a/b"},
      {"/a/%2e%2e/b", "/b"},
      {"/a/%2e./b", "/b"},
      {"/a..b", "/a..b"},
      {"/a/.../b", "/a/.../b"},
      {"/a/..b", "/a/..b"},
      {"//a///b//", "/a/b/"},
      {"/a%2f..%2fb", "/b"},
      {"/a%2f%2fb", "/a/b"},
      {"/a%23b", "/a#b"},
      {"/a%3fb", "/a?b"},
      {"/a+b", "/a+b"},
      {"/a%25b", "/a%b"},
      {"/%2e", "/"},
      {"/a//../b", "/b"},
      {"/a/b/..#x", "/a/"},
      {"/a/b/.?x", "/a/b/"},
      {"/\\..\\x", "/\\..\\x"},
      {"/a%2525", "/a%25"},
      {"/..", ""},
      {"/a/../..", ""},
      {"/%2e%2e/etc/passwd", ""},
      {"/a%00", ""},
      {"/a%zz", ""},
      {"/a%2", ""},
      {"/a%", ""},
      {"/a/..%00", ""},
  };
  for (const PathCase& c : cases) {
    std::string out;
    EXPECT_EQ(normalise_path(c.raw, MergeSlashes::kYes, out), !c.want.empty()) << c.raw;
    if (!c.want.empty()) {
      EXPECT_EQ(out, c.want) << c.raw;
    }
  }
}

TEST(NormalisePath, KeepsSlashesAndStillStaysBelowTheRoot) {
  std::string out;
  ASSERT_TRUE(normalise_path("//a//b/../c", MergeSlashes::kNo, out));
  EXPECT_EQ(out, "//a//c");
  EXPECT_FALSE(normalise_path("/../a", MergeSlashes::kNo, out));
  ASSERT_TRUE(normalise_path("//../a", MergeSlashes::kNo, out));
  EXPECT_EQ(out, "/a");
}

TEST(NormalisePath, FindsArguments) {
  std::string out;
  size_t at = 0;
  ASSERT_TRUE(normalise_path("/a?b", MergeSlashes::kYes, out, &at));
  EXPECT_EQ(at, 3u);
  ASSERT_TRUE(normalise_path("/a#?b", MergeSlashes::kYes, out, &at));
  EXPECT_EQ(at, std::string_view::npos);
}

TEST(SafePath, RefusesWhatLeavesTheRoot) {
  for (std::string_view bad : {"", "?x", "..", "/..", "/../x", "../x", "/a/../b", "/a/.."}) {
    EXPECT_FALSE(is_safe_path(bad)) << bad;
  }
  EXPECT_FALSE(is_safe_path(std::string_view("/a\0", 3)));
  for (std::string_view good : {"/", "/a", "a", "/a..", "/..a", "/...", "/a/./b"}) {
    EXPECT_TRUE(is_safe_path(good)) << good;
  }
}

TEST(Escape, WritesTheSetsNginxWrites) {
  std::string all;
  for (int c = 1; c < 0x7f; ++c) all += static_cast<char>(c);
  const auto plain = [&](Escape kind) {
    std::string kept;
    for (char c : all) {
      if (!needs_escape(std::string_view(&c, 1), kind)) kept += c;
    }
    return kept;
  };
  constexpr std::string_view kAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  EXPECT_NE(plain(Escape::kUri).find(kAlnum), std::string::npos);
  EXPECT_EQ(plain(Escape::kUri),
            "!$&'()*+,-./0123456789:;=@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~");
  EXPECT_EQ(plain(Escape::kArgs),
            "!$'()*,-./0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~");
  EXPECT_EQ(plain(Escape::kComponent),
            "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
  std::string out;
  append_escaped(out, "a b\xff\n", Escape::kUri);
  EXPECT_EQ(out, "a%20b%FF%0A");
}

TEST(Unescape, StopsWhereItMust) {
  const auto run = [](std::string_view text, Unescape kind) {
    std::string out;
    append_unescaped(out, text, kind);
    return out;
  };
  EXPECT_EQ(run("a%20b%zz%2", Unescape::kAll), "a b%zz%2");
  EXPECT_EQ(run("%41?%41", Unescape::kAll), "A?A");
  EXPECT_EQ(run("%41?%41", Unescape::kUri), "A?%41");
  EXPECT_EQ(run("%41%3f%41", Unescape::kUri), "A?%41");
  EXPECT_EQ(run("%41%20%0a%25%7f", Unescape::kRedirect), "A%20%0a%25%7f");
}

struct HostCase {
  std::string_view text, want;  // want "" = refused
};

TEST(ValidateHost, JudgesAsNginx) {
  const HostCase cases[] = {
      {"A.b.C.:80", "a.b.c"},
      {"a b", ""},
      {"a/b", ""},
      {"a..b", ""},
      {".", ""},
      {"..", ""},
      {".a", ".a"},
      {"[::1]:80", "[::1]"},
      {"[::1", "[::1"},
      {"a:b:c", "a"},
      {":80", ""},
      {"a[b]", "a[b]"},
      {"a_b", "a_b"},
      {"a\tb", ""},
      {"a\x7f", ""},
      {"a:80x", "a"},
      {"a.:80.", "a."},
      {"[A::].x", "[a::]"},
      {"a:", "a"},
      {"a:..", ""},
      {"a:/", ""},
      {"A..:80", ""},
      {"a[::1]", "a["},
      {"", ""},
      {"[::1]a:80", "[::1]"},
  };
  for (const HostCase& c : cases) {
    std::string out;
    EXPECT_EQ(validate_host(c.text, out), !c.want.empty()) << c.text;
    if (!c.want.empty()) {
      EXPECT_EQ(out, c.want);
    }
  }
  std::string out;
  EXPECT_FALSE(validate_host(std::string_view("a\0b", 3), out));
}

TEST(Extension, IsWhatFollowsTheLastDot) {
  EXPECT_EQ(extension_of("/a/b.tar.gz"), "gz");
  EXPECT_EQ(extension_of("/a.b/c"), "");
  EXPECT_EQ(extension_of("/a/.hidden"), "");
  EXPECT_EQ(extension_of("/a/x."), "");
}

}  // namespace
}  // namespace bulkhead::http
