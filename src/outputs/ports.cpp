// Which port a kind of output has, and its name.
#include "outputs/file_ports.hpp"
#include "outputs/outputs.hpp"

namespace vital {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

std::string_view type_of(const OutputSpec& spec) {
  return std::visit(
      Overloaded{[](const FileOutput&) { return "file"; }, [](const KeepalivedOutput&) { return "keepalived"; }},
      spec.target);
}

MakePort real_ports() {
  return [](Loop& loop, const OutputSpec& spec) { return make_file_port(loop, spec); };
}

}  // namespace vital
