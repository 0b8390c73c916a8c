// Options as the host would hand them over, for tests: Given({{"url", {"http://x/"}}}).options().
#pragma once

#include <string>
#include <utility>
#include <vector>
#include <vitald/check.hpp>

namespace vital {

class Given {
 public:
  using Values = std::vector<std::pair<std::string, std::vector<std::string>>>;
  explicit Given(Values values) : values_(std::move(values)) {
    items_.reserve(values_.size());
    for (const auto& [name, texts] : values_) {
      auto& pointers = items_.emplace_back();
      for (const auto& text : texts) pointers.push_back(text.c_str());
      raw_.push_back({sizeof(vital_value), static_cast<uint32_t>(pointers.size()), name.c_str(), pointers.data()});
    }
    all_ = {sizeof all_, static_cast<uint32_t>(raw_.size()), sizeof(vital_value), raw_.data()};
  }
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;
  check::Options options() const { return check::Options(&all_); }

 private:
  Values values_;
  std::vector<std::vector<const char*>> items_;
  std::vector<vital_value> raw_;
  vital_values all_{};
};

// What `read` says of these options: "option: text", or nothing.
template <typename Read>
std::string refusal(const Given::Values& values, Read read) {
  const Given given(values);
  try {
    read(given.options());
    return {};
  } catch (const check::Invalid& e) {
    return e.option + ": " + e.what();
  }
}

}  // namespace vital
