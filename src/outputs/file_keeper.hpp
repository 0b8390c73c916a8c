// FileKeeper: keeps one file as it is wanted, on a thread of its own, so that a file system that hangs holds up nobody
// else. Files are replaced by rename, so that a reader finds the old text or the new one, whole. [loop]
//
//   FileKeeper keeper(loop, "/run/vitald-keepalived/web");
//   keeper.sync({[] { return std::string("1\n"); }}, [](Synced s) { ... });
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "loop/mailbox.hpp"
#include "outputs/reconciler.hpp"

namespace vital {

struct FileJob {
  std::function<std::string()> text;  // called on the keeper's thread; must own all it uses
  bool is_removed = false;            // no file is wanted
  bool is_only_read = false;          // nothing is; `held` will be all that is in it, empty if there is none
};

class FileKeeper {
 public:
  FileKeeper(Loop& loop, std::string path);
  // What is under way is left to its thread.
  ~FileKeeper();
  FileKeeper(const FileKeeper&) = delete;
  FileKeeper& operator=(const FileKeeper&) = delete;

  void sync(FileJob job, std::function<void(Synced)> done);
  bool is_busy() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// Compares and replaces, on the caller's thread: what the keeper's thread does. Any error is in the result.
Synced keep_file(const std::string& path, const FileJob& job);

}  // namespace vital
