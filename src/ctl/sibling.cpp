// vitalctl replay, advise, doctor and init: are done by vitald, which knows configs; vitalctl stays a small program
// that starts in a millisecond.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "ctl/ctl.hpp"

namespace vital::ctl {
namespace {

// Becomes the vitald that lies beside this program, with the same arguments.
int become_vitald(int argc, char** argv) {
  std::error_code error;
  const std::string vitald = (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "vitald").string();
  std::vector<char*> arguments;
  std::string name = "vitald";
  arguments.push_back(name.data());
  arguments.insert(arguments.end(), argv, argv + argc);
  arguments.push_back(nullptr);
  execv(vitald.c_str(), arguments.data());
  throw CtlError("cannot run " + vitald + ", which does this: " + std::generic_category().message(errno));
}

}  // namespace

int replay(int argc, char** argv) { return become_vitald(argc, argv); }
int advise(int argc, char** argv) { return become_vitald(argc, argv); }
int doctor(int argc, char** argv) { return become_vitald(argc, argv); }
int init(int argc, char** argv) { return become_vitald(argc, argv); }

}  // namespace vital::ctl
