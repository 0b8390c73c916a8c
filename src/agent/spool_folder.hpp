// SpoolFolder: watches the folder in which operators drop overlay files. The kernel tells of changes (inotify), and
// every few seconds somebody looks anyhow, for file systems on which it does not. Looking can hang with the disk, so a
// thread does it and posts what it found; the loop only hears.
//
//   SpoolFolder spool(loop, mail, "/var/lib/vitald/spool", [this](SpoolListing seen) { ... });
//
// [loop], where not said otherwise.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/spool.hpp"
#include "base/unique_fd.hpp"
#include "loop/loop.hpp"
#include "loop/mailbox.hpp"

namespace vital {

class SpoolFolder {
 public:
  static constexpr std::size_t largest_file = 4096;
  static constexpr std::size_t most_files = 128;

  // Makes the folder if it is not there. `seen` comes on the loop, after each look; the first one soon.
  SpoolFolder(Loop& loop, std::shared_ptr<Mailbox> mail, std::string folder, std::function<void(SpoolListing)> seen);
  // A look under way is left to its thread; `seen` will not be called any more.
  ~SpoolFolder();
  SpoolFolder(const SpoolFolder&) = delete;
  SpoolFolder& operator=(const SpoolFolder&) = delete;

  // Look now. One look at a time: asked during one, another follows it.
  void look();

  // A look is under way: its thread may be stuck on the disk.
  bool is_busy() const;

  const std::string& folder() const { return folder_; }

  // One look, on the calling thread; waits for the disk. Changes from now on are told to `inotify`, if it is one.
  static SpoolListing list(const std::string& folder, int inotify = -1);

 private:
  struct Shared;
  void heard();
  void looked(SpoolListing listing);

  const std::string folder_;
  std::function<void(SpoolListing)> seen_;
  std::shared_ptr<Shared> shared_;
  Timer soon_, regular_;
  std::optional<FdWatch> watch_;
};

}  // namespace vital
