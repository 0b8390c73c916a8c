// A well-behaved blocking module: answers at once with everything a result can hold.
#include <vitald/check.hpp>

namespace {

class Answers final : public vital::check::Blocking {
 public:
  explicit Answers(const vital::check::Options& options)
      : want_(options.integer("want")), words_(options.list("words")), labels_(options.map("marks")) {
    if (want_ == 13) throw vital::check::Invalid("want", "13 brings bad luck: write another number");
  }
  vital::check::Result probe(const vital::check::Attempt& attempt) override {
    vital::check::Stopwatch watch;
    watch.lap(vital::check::Phase::connect);
    auto result =
        want_ == 42 ? vital::check::pass("it is 42") : vital::check::fail(vital::check::Cause::content, "it is not 42");
    for (const auto& word : words_) result.text += " " + word;
    for (const auto& [key, value] : labels_) result.fact(key, value);
    result.measure("want", static_cast<double>(want_), "", 50, 60).fact("attempt", std::to_string(attempt.number()));
    return watch.into(result);
  }

 private:
  long long want_;
  std::vector<std::string> words_;
  std::vector<std::pair<std::string, std::string>> labels_;
};

constexpr vital::check::OptionRow options[] = {
    {"want", vital::check::Type::integer, "42", "the number", "42", 0, nullptr, 0, 100},
    {"words", vital::check::Type::list, nullptr, "words to say"},
    {"marks", vital::check::Type::map, nullptr, "facts to give back"},
    {"limit", vital::check::Type::duration, "250ms", "a duration"},
    {"token", vital::check::Type::string, nullptr, "a secret", nullptr, VITAL_OPTION_SECRET},
};

}  // namespace

VITAL_BLOCKING_MODULE(Answers, "answers", "1.0", "answers at once", options)
