// Making and ending an instance; see instance.hpp.
#include "probe/worker/instance.hpp"

#include <array>
#include <vector>

#include "base/text.hpp"
#include "probe/worker/host.hpp"
#include "probe/worker/services.hpp"

namespace vital::worker {
namespace {

// The C view of the values, alive for the call of create().
struct Values {
  explicit Values(const InstanceSpec& spec) {
    items.reserve(spec.values.size());
    for (const auto& [name, texts] : spec.values) {
      std::vector<const char*>& pointers = items.emplace_back();
      for (const std::string& text : texts) pointers.push_back(text.c_str());
      values.push_back(
          {sizeof(vital_value), static_cast<std::uint32_t>(pointers.size()), name.c_str(), pointers.data()});
    }
    all = {sizeof all, static_cast<std::uint32_t>(values.size()), sizeof(vital_value), values.data()};
  }
  std::vector<std::vector<const char*>> items;
  std::vector<vital_value> values;
  vital_values all{};
};

}  // namespace

Instance::Instance(Host& host, std::uint32_t number, InstanceSpec spec)
    : host_(host), number_(number), spec_(std::make_unique<InstanceSpec>(std::move(spec))), face_{} {
  face_.instance = this;
  face_.abi.size = sizeof face_.abi;
  face_.abi.abi_major = VITAL_ABI_MAJOR;
  face_.abi.abi_minor = VITAL_ABI_MINOR;
  face_.abi.finish = [](const vital_host* abi, const vital_probe* probe, const vital_result* result) {
    Instance& self = of(abi);
    self.host_.finish(self, probe, result);
  };
  face_.abi.service = [](const vital_host* abi, const char* name) {
    const Instance& self = of(abi);
    return find_service(name, self.module_ != nullptr && self.module_->is_async());
  };
}

Instance::~Instance() {
  if (is_created_) host_.call(*this, Stage::destroying, [&] { module_->table().destroy(handle_); });
}

const std::string& Instance::check() const { return spec_->check; }

bool Instance::create(const ModuleFile& module, Refusal& refusal) {
  const Values values(*spec_);
  std::array<char, 128> option{};
  std::array<char, 1025> text{};
  vital_error error{sizeof error, option.size(), option.data(), text.size(), text.data()};
  module_ = &module;
  int code = -1;
  const std::string thrown =
      host_.call(*this, Stage::creating, [&] { code = module.table().create(face(), &values.all, &handle_, &error); });
  if (code == 0) return is_created_ = true;
  // A failed create() keeps nothing; what it registered is taken back.
  watches.clear();
  timers.clear();
  queries.clear();
  children.clear();
  if (!thrown.empty()) {
    refusal = {Cause::agent, "", thrown};
    return false;
  }
  option.back() = '\0';
  text.back() = '\0';
  refusal.cause = Cause::config;
  refusal.option = one_line(option.data(), option.size());
  refusal.text = one_line(text.data());
  if (refusal.text.empty()) refusal.text = "the module refuses these options and does not say why";
  return false;
}

}  // namespace vital::worker
