// See program_run.hpp. Input and output are anonymous files in memory. The output's size is fixed beforehand: writing
// past it fails in the program, so that one that talks for ever does not fill our memory.
#include "outputs/program_run.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/text.hpp"

namespace vital {
namespace {

constexpr off_t most_output = 1024 * 1024;

UniqueFd memory_file(const char* what) {
  UniqueFd file(memfd_create(what, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) throw std::system_error(errno, std::generic_category(), "a file in memory");
  return file;
}

UniqueFd file_with(const std::string& text) {
  UniqueFd file = memory_file("vitald-input");
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = write(file.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::system_error(errno, std::generic_category(), "a file in memory");
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

UniqueFd file_for_output() {
  UniqueFd file = memory_file("vitald-output");
  if (ftruncate(file.get(), most_output) != 0 || fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0) {
    throw std::system_error(errno, std::generic_category(), "a file in memory");
  }
  return file;
}

// How far it was written: the offset is shared with the program.
std::string written_to(const UniqueFd& file) {
  const off_t size = lseek(file.get(), 0, SEEK_CUR);
  std::string out(static_cast<std::size_t>(std::max<off_t>(size, 0)), '\0');
  const ssize_t n = pread(file.get(), out.data(), out.size(), 0);
  out.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return out;
}

Ran result_of(const std::string& name, int status, std::string output) {
  Ran out;
  out.output = std::move(output);
  if (WIFSIGNALED(status)) {
    out.trouble = name + " was ended by signal " + std::to_string(WTERMSIG(status));
    return out;
  }
  out.code = WEXITSTATUS(status);
  out.is_good = out.code == 0;
  if (!out.is_good) {
    const std::string said = one_line(trim(out.output), 300);
    out.trouble = name + " ended with " + std::to_string(out.code) + (said.empty() ? "" : ": " + said);
  }
  return out;
}

}  // namespace

ProgramRun::ProgramRun(Loop& loop, Program program, std::function<void(Ran)> ended)
    : name_(program.argv.at(0).substr(program.argv.at(0).rfind('/') + 1)), output_(file_for_output()) {
  const UniqueFd input = file_with(program.input);
  ChildOptions options;
  options.argv = std::move(program.argv);
  options.environment = std::move(program.environment);
  options.descriptors = {{input.get(), 0}, {output_.get(), 1}, {output_.get(), 2}};
  child_ = Child::start(loop, options, [this, ended = std::move(ended)](int status) {
    Ran ran = result_of(name_, status, written_to(output_));
    const auto tell = ended;  // it may destroy us
    tell(std::move(ran));
  });
}

void ProgramRun::kill() { child_->kill_group(SIGKILL); }

}  // namespace vital
