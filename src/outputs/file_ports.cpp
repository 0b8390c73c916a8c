// See file_ports.hpp.
#include "outputs/file_ports.hpp"

#include <utility>

#include "outputs/file_keeper.hpp"
#include "outputs/render.hpp"

namespace vital {
namespace {

const std::string& path_of(const OutputTarget& target) {
  if (const auto* keepalived = std::get_if<KeepalivedOutput>(&target)) return keepalived->path;
  if (const auto* envoy = std::get_if<EnvoyOutput>(&target)) return envoy->path;
  return std::get<FileOutput>(target).path;
}

class FilePort final : public Port {
 public:
  FilePort(Loop& loop, OutputTarget target) : keeper_(loop, path_of(target)), target_(std::move(target)) {}

  void sync(const Wanted& wanted, Done done) override {
    FileJob job;
    job.is_removed = wanted.is_withdrawn;
    job.text = [target = target_, wanted] {
      if (const auto* keepalived = std::get_if<KeepalivedOutput>(&target))
        return track_file_text(*keepalived, wanted.word);
      if (const auto* envoy = std::get_if<EnvoyOutput>(&target)) return envoy_text(*envoy, wanted.members);
      return snapshot_json(*wanted.snapshot);
    };
    keeper_.sync(std::move(job), std::move(done));
  }
  void cancel() override {}  // nothing ends a call into a file system; its thread is waited for by nobody
  bool has_stray() const override { return keeper_.is_busy(); }

 private:
  FileKeeper keeper_;
  OutputTarget target_;
};

}  // namespace

std::unique_ptr<Port> make_file_port(Loop& loop, const OutputSpec& spec) {
  return std::make_unique<FilePort>(loop, spec.target);
}

}  // namespace vital
