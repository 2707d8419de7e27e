// The table of sites as lines of text.  Pure.
//
// Runs in: bulkhead.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "top/sample.h"

namespace bulkhead::top {

enum class Sort : uint8_t { kRequests, kErrors, kCpu, kMemory, kP50, kP99, kWorkers, kName };
struct SortKey {
  Sort sort;
  char key;               // on the keyboard
  std::string_view name;  // on the command line
};
inline constexpr SortKey kSortKeys[] = {
    {Sort::kRequests, 'r', "requests"}, {Sort::kErrors, 'e', "errors"}, {Sort::kCpu, 'c', "cpu"},
    {Sort::kMemory, 'm', "memory"},     {Sort::kP50, '5', "p50"},       {Sort::kP99, '9', "p99"},
    {Sort::kWorkers, 'w', "workers"},   {Sort::kName, 'n', "name"}};

// Largest first (names: a to z); only names that contain `filter`, whatever its case.
void arrange(std::vector<Row>* rows, Sort sort, std::string_view filter);

constexpr size_t kWidthMin = 80;
// Two lines about the server.
[[nodiscard]] std::vector<std::string> summary(const Sample& sample, const std::vector<Row>& rows,
                                               size_t width);
[[nodiscard]] std::string heading(size_t width);
[[nodiscard]] std::string line_of(const Row& row, size_t width);

// "950", "1.2k", "34M": at most five characters.
[[nodiscard]] std::string short_number(double value);
// "0.42", "13.1", "870", ">10s" milliseconds; "-" for nothing.
[[nodiscard]] std::string short_time(const std::optional<double>& seconds);

}  // namespace bulkhead::top
