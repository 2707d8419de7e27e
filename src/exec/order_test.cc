#include "exec/order.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "exec/protocol.h"
#include "sys/files.h"
#include "sys/sealed.h"

namespace bulkhead::exec {
namespace {

Order sample() {
  return {{"php", "-r", "", "echo 1;"}, {"A=1", "B="}, "/srv/x", "/root", "xterm", "de_DE.UTF-8"};
}

TEST(Order, ComesBackAsItWas) {
  auto bytes = encode(sample());
  ASSERT_TRUE(bytes);
  auto back = decode(*bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->argv, sample().argv);
  EXPECT_EQ(back->env, sample().env);
  EXPECT_EQ(back->directory, "/srv/x");
  EXPECT_EQ(back->hint, "/root");
  EXPECT_EQ(back->terminal_type, "xterm");
  EXPECT_EQ(back->language, "de_DE.UTF-8");
}

TEST(Order, RefusesEveryCutButTheOnesBetweenVariables) {
  const std::string bytes = *encode(sample());
  const size_t whole_without_env = bytes.size() - 4 - 3;  // "A=1\0", "B=\0"
  for (size_t size = 0; size < bytes.size(); ++size) {
    const bool complete = size == whole_without_env || size == whole_without_env + 4;
    EXPECT_EQ(decode(std::string_view(bytes).substr(0, size)).has_value(), complete) << size;
  }
}

TEST(Order, RefusesWhatCannotBeAWord) {
  Order order = sample();
  order.argv[1] = std::string("a\0b", 3);
  EXPECT_FALSE(encode(order));
  order = sample();
  order.env[0] = "=1";
  EXPECT_FALSE(encode(order));
  order.env[0] = "NOTHING";
  EXPECT_FALSE(encode(order));
  order = sample();
  order.argv.clear();
  EXPECT_FALSE(encode(order));
}

TEST(Order, KnowsItsLargestSize) {
  Order order{{"x"}, {}, "", "", "", ""};
  const size_t frame = encode(order)->size();
  order.argv[0] = std::string(kOrderBytesMax - frame + 1, 'x');
  ASSERT_TRUE(encode(order));
  EXPECT_EQ(encode(order)->size(), kOrderBytesMax);
  EXPECT_TRUE(decode(*encode(order)));
  order.argv[0] += 'x';
  auto larger = encode(order);
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().errno_value, E2BIG);
  EXPECT_FALSE(decode(std::string(kOrderBytesMax + 1, '\0')));
}

TEST(Order, RefusesCountsThatCannotBe) {
  const std::string head(4, '\0');
  for (std::string count : {"0", "", "-1", "1x", "65537", "9999999", "2"}) {
    EXPECT_FALSE(decode(head + count + '\0' + "true" + '\0')) << count;
  }
  EXPECT_TRUE(decode(head + "1" + '\0' + "true" + '\0'));
  EXPECT_FALSE(decode(head + "1" + '\0' + "true" + '\0' + "NOTHING" + '\0'));
}

TEST(Order, IsReadFromSealedMemoryOnly) {
  const std::string bytes = *encode(sample());
  auto sealed = sys::create_sealed("order", bytes);
  ASSERT_TRUE(sealed);
  auto read = read_sealed(*sealed, bytes.size());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, bytes);
  EXPECT_FALSE(read_sealed(*sealed, bytes.size() - 1));
  EXPECT_FALSE(read_sealed(*sealed, bytes.size() + 1));
  sys::Fd open(::memfd_create("order", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(sys::write_all(open, bytes));
  EXPECT_FALSE(read_sealed(open, bytes.size()));
}

}  // namespace
}  // namespace bulkhead::exec
