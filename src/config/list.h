// A list that costs one pointer to inherit: copies share their elements until one is changed.
//
// Runs in: master, front.  Threads: shared elements are never changed, so readers need no lock.
//
// Ten thousand servers inherit the same headers, parameters and logs; copying them as vectors would
// make the model ten times larger.
#pragma once

#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace bulkhead::config {

template <class T>
class List {
 public:
  using value_type = T;
  using const_iterator = typename std::vector<T>::const_iterator;

  List() = default;
  List(std::initializer_list<T> items) : List(std::vector<T>(items)) {}
  List(std::vector<T> items)  // implicit on purpose: a List is a vector that inherits cheaply
      : items_(items.empty() ? nullptr : std::make_shared<std::vector<T>>(std::move(items))) {}

  [[nodiscard]] const_iterator begin() const { return all().begin(); }
  [[nodiscard]] const_iterator end() const { return all().end(); }
  [[nodiscard]] size_t size() const { return items_ ? items_->size() : 0; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  const T& operator[](size_t at) const { return (*items_)[at]; }
  [[nodiscard]] const T& front() const { return items_->front(); }
  [[nodiscard]] const T& back() const { return items_->back(); }

  // Changes copy the elements first when another list shares them.
  void push_back(T item) { own().push_back(std::move(item)); }
  void clear() { items_.reset(); }
  T& emplace_back() { return own().emplace_back(); }

 private:
  const std::vector<T>& all() const {
    static const std::vector<T> none;
    return items_ ? *items_ : none;
  }
  std::vector<T>& own() {
    if (!items_) {
      items_ = std::make_shared<std::vector<T>>();
    } else if (items_.use_count() > 1) {
      items_ = std::make_shared<std::vector<T>>(*items_);
    }
    return *items_;
  }
  std::shared_ptr<std::vector<T>> items_;
};

}  // namespace bulkhead::config
