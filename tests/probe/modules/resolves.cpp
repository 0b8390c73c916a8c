// An async module that resolves a name and says what it heard: status, addresses, text.
#include <memory>
#include <string>
#include <vitald/check.hpp>

namespace {

using namespace vital::check;

class Lookup final : public AsyncProbe {
 public:
  Lookup(const Host& host, Finisher finisher) : host_(host), finisher_(finisher) {}
  ~Lookup() override { host_.resolve->withdraw(query_); }

  void ask(const std::string& name, uint32_t family, Duration limit) {
    query_ = host_.resolve->resolve(
        host_.raw, name.c_str(), family, static_cast<uint64_t>(limit.count()),
        [](void* self, const vital_addresses* answer) { static_cast<Lookup*>(self)->heard(*answer); }, this);
    is_asked_ = true;
  }

 private:
  void heard(const vital_addresses& answer) {
    query_ = nullptr;
    if (!is_asked_) return finisher_.finish(fail(Cause::protocol, "told before resolve() returned"));
    Result result = pass(answer.text);
    result.fact("status", std::to_string(answer.status));
    std::string addresses;
    for (uint32_t i = 0; i < answer.count; ++i) addresses += (i == 0 ? "" : " ") + std::string(answer.addresses[i]);
    result.fact("addresses", addresses);
    finisher_.finish(result);
  }

  const Host& host_;
  Finisher finisher_;
  vital_query* query_ = nullptr;
  bool is_asked_ = false;
};

class Resolves final : public Async {
 public:
  Resolves(Host host, const Options& options)
      : host_(host),
        name_(options.text("name")),
        family_(static_cast<uint32_t>(options.integer("family"))),
        limit_(options.duration("limit")) {}
  std::unique_ptr<AsyncProbe> start(const Attempt&, Finisher finisher) override {
    auto lookup = std::make_unique<Lookup>(host_, finisher);
    lookup->ask(name_, family_, limit_);
    return lookup;
  }

 private:
  Host host_;
  std::string name_;
  uint32_t family_;
  Duration limit_;
};

constexpr OptionRow options[] = {
    {"name", Type::string, "localhost", "what to look up"},
    {"family", Type::integer, "0", "0, 4 or 6"},
    {"limit", Type::duration, "1s", "how long to wait"},
};

}  // namespace

VITAL_ASYNC_MODULE(Resolves, "resolves", "1.0", "resolves a name", options)
