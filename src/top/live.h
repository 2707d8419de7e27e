// What the live picture shows and what keys do to it, without a terminal.  Pure but for the clock.
//
// Runs in: bulkhead.  Input: keys of the person, samples.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "top/screen.h"
#include "top/table.h"

namespace bulkhead::top {

class Live {
 public:
  Live(Sort sort, std::string filter) : sort_(sort), filter_(std::move(filter)) {}

  void take(Sample sample);
  // What is wrong with the server now; "" for nothing.
  void say_trouble(std::string text) { trouble_ = std::move(text); }
  // About what a key began.
  void say_note(std::string text) { note_ = std::move(text); }

  enum class Wish : uint8_t { kNothing, kQuit, kRestart };
  // kRestart: of selected(), and the person has said yes.
  Wish press(const Press& press, size_t rows);
  [[nodiscard]] const std::string& selected() const { return selected_; }
  [[nodiscard]] std::vector<Screen::Line> picture(Screen::Size size);

 private:
  enum class Mode : uint8_t { kTable, kFilter, kConfirm, kHelp };
  Wish press_in_table(const Press& press, size_t rows);
  void press_in_filter(const Press& press);
  void move(long by);
  void arrange_rows();
  [[nodiscard]] size_t selected_index() const;
  [[nodiscard]] std::string last_line() const;

  Sort sort_;
  std::string filter_, filter_before_;
  Mode mode_ = Mode::kTable;
  std::optional<Sample> newest_;
  std::vector<Row> all_, rows_;  // rows_: arranged
  std::string selected_, trouble_, note_;
  size_t first_ = 0;  // row at the top
};

// Lines of the picture that are no rows: two of summary, the heading, the last line.
constexpr size_t kOtherLines = 4;

}  // namespace bulkhead::top
