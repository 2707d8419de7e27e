// See live.h.
#include "top/live.h"

#include <algorithm>

namespace bulkhead::top {
namespace {

using Style = Screen::Line::Style;
constexpr size_t kFilterMax = 64;

std::string_view name_of(Sort sort) {
  for (const SortKey& one : kSortKeys) {
    if (one.sort == sort) return one.name;
  }
  return "";
}

std::vector<Screen::Line> help() {
  std::vector<Screen::Line> out{{"bulkhead top", Style::kBold}, {""}, {"Sort, largest first:"}};
  for (const SortKey& one : kSortKeys) {
    out.push_back({std::string("  ") + one.key + "  " + std::string(one.name)});
  }
  for (const char* line :
       {"", "Arrows, page up and down   choose a site",
        "/   show only sites with a text in the name",
        "R   restart the chosen site's PHP (asks first)", "q   quit", "",
        "P50ms, P99ms: half, and all but a hundredth, of the requests since the last",
        "look took less than that.  WORKERS: busy/all, +requests that wait.", "",
        "Any key goes back."}) {
    out.push_back({line});
  }
  return out;
}

}  // namespace

void Live::take(Sample sample) {
  all_ = rows_between(newest_, sample);
  newest_ = std::move(sample);
  trouble_.clear();
  arrange_rows();
}

void Live::arrange_rows() {
  rows_ = all_;
  arrange(&rows_, sort_, filter_);
  const bool is_there = std::any_of(rows_.begin(), rows_.end(),
                                    [&](const Row& row) { return row.name == selected_; });
  if (!is_there && mode_ != Mode::kConfirm) selected_ = rows_.empty() ? "" : rows_[0].name;
}

size_t Live::selected_index() const {
  auto at = std::find_if(rows_.begin(), rows_.end(),
                         [&](const Row& row) { return row.name == selected_; });
  return at == rows_.end() ? 0 : static_cast<size_t>(at - rows_.begin());
}

void Live::move(long by) {
  if (rows_.empty()) return;
  const long last = static_cast<long>(rows_.size()) - 1;
  const long to = std::clamp(static_cast<long>(selected_index()) + by, 0L, last);
  selected_ = rows_[static_cast<size_t>(to)].name;
}

Live::Wish Live::press(const Press& press, size_t rows) {
  switch (mode_) {
    case Mode::kHelp:
      mode_ = Mode::kTable;
      return Wish::kNothing;
    case Mode::kConfirm: {
      mode_ = Mode::kTable;
      const bool yes =
          press.key == Key::kChar && (press.character == 'y' || press.character == 'Y');
      note_ = yes ? "" : "nothing restarted";
      return yes ? Wish::kRestart : Wish::kNothing;
    }
    case Mode::kFilter:
      press_in_filter(press);
      return Wish::kNothing;
    case Mode::kTable:
      break;
  }
  return press_in_table(press, rows);
}

void Live::press_in_filter(const Press& press) {
  if (press.key == Key::kEnter) mode_ = Mode::kTable;
  if (press.key == Key::kEscape) {
    filter_ = filter_before_;
    mode_ = Mode::kTable;
  }
  if (press.key == Key::kErase && !filter_.empty()) filter_.pop_back();
  if (press.key == Key::kChar && filter_.size() < kFilterMax) filter_ += press.character;
  arrange_rows();
}

Live::Wish Live::press_in_table(const Press& press, size_t rows) {
  note_.clear();
  const long page = std::max<long>(static_cast<long>(rows) - static_cast<long>(kOtherLines), 1);
  const long all = static_cast<long>(rows_.size());
  for (auto [key, by] : {std::pair{Key::kUp, -1L},
                         {Key::kDown, 1L},
                         {Key::kPageUp, -page},
                         {Key::kPageDown, page},
                         {Key::kHome, -all},
                         {Key::kEnd, all}}) {
    if (press.key == key) move(by);
  }
  if (press.key == Key::kEscape && !filter_.empty()) {
    filter_.clear();
    arrange_rows();
  }
  if (press.key != Key::kChar) return Wish::kNothing;
  for (const SortKey& one : kSortKeys) {
    if (press.character != one.key) continue;
    sort_ = one.sort;
    arrange_rows();
    if (!rows_.empty()) selected_ = rows_[0].name;
  }
  switch (press.character) {
    case 'q':
      return Wish::kQuit;
    case 'j':
      move(1);
      break;
    case 'k':
      move(-1);
      break;
    case '/':
      filter_before_ = filter_;
      mode_ = Mode::kFilter;
      break;
    case 'R':
      if (!rows_.empty() && rows_[selected_index()].has_pool) {
        mode_ = Mode::kConfirm;
      } else if (!rows_.empty()) {
        note_ = selected_ + " has no PHP to restart";
      }
      break;
    case '?':
    case 'h':
      mode_ = Mode::kHelp;
      break;
    default:
      break;
  }
  return Wish::kNothing;
}

std::string Live::last_line() const {
  if (mode_ == Mode::kConfirm) return "restart " + selected_ + "? y/N";
  if (mode_ == Mode::kFilter) return "filter: " + filter_ + "_";
  if (!trouble_.empty()) return trouble_;
  if (!note_.empty()) return note_;
  const Row* row = rows_.empty() ? nullptr : &rows_[selected_index()];
  if (row != nullptr && !row->why.empty()) return row->name + " cannot start: " + row->why;
  return "by " + std::string(name_of(sort_)) +
         (filter_.empty() ? "" : ", only \"" + filter_ + "\"") +
         "   recm59wn sort  / filter  R restart  ? help  q quit";
}

std::vector<Screen::Line> Live::picture(Screen::Size size) {
  if (mode_ == Mode::kHelp) return help();
  std::vector<Screen::Line> out;
  for (std::string& line : summary(newest_.value_or(Sample()), all_, size.columns)) {
    out.push_back({std::move(line)});
  }
  out.push_back({heading(size.columns), Style::kBold});
  const size_t room = size.rows > kOtherLines ? size.rows - kOtherLines : 1;
  const size_t chosen = selected_index();
  if (chosen < first_) first_ = chosen;
  if (chosen >= first_ + room) first_ = chosen - room + 1;
  first_ = std::min(first_, rows_.size() > room ? rows_.size() - room : 0);
  for (size_t i = 0; i < room; ++i) {
    if (first_ + i >= rows_.size()) {
      out.push_back({""});
      continue;
    }
    const Row& row = rows_[first_ + i];
    const Style style = row.name == selected_   ? Style::kInverse
                        : row.state == "failed" ? Style::kRed
                                                : Style::kPlain;
    out.push_back({line_of(row, size.columns), style});
  }
  const bool loud = mode_ == Mode::kConfirm || !trouble_.empty();
  out.push_back({last_line(), loud ? Style::kBold : Style::kPlain});
  return out;
}

}  // namespace bulkhead::top
