// The spool's language: what a file in it says, and what a look at the folder changes. A file lays an overlay for as
// long as it is there; its name says what and where, its content may say more:
//
//   drain                  the node          touch /var/lib/vitald/spool/drain
//   web.maintenance        service web       {reason: kernel update, owner: alice, for: 2h}, or one line: the reason
//
// A file that says something else is one line for the operator, once, and changes nothing. Pure; [loop].
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/plan.hpp"
#include "core/snapshot.hpp"

namespace vital {

// A file as it was found.
struct SpoolFile {
  std::string name;
  std::string text;         // at most SpoolFolder::largest_file bytes
  std::string problem;      // why it could not be read; then there is no text
  std::string user;         // whose it is
  WallTime changed{};       // "for" counts from here
  std::uint64_t stamp = 0;  // another one: the file is another one

  bool is_hidden() const;  // an editor's, or not finished yet: no business of ours
};

// A look at the folder.
struct SpoolListing {
  std::string folder;
  std::string problem;  // the folder could not be read: nothing is known, so nothing changes
  std::vector<SpoolFile> files;
};

// The overlay this file asks for, its source being `path`. Empty and a `problem` in one line, if it asks for none.
std::optional<Overlay> read_spool_file(const SpoolFile& file, const std::string& path, const Plan& plan,
                                       std::string* problem);

// What the folder said at the last look.
class SpoolBook {
 public:
  struct News {
    std::vector<Overlay> set;
    std::vector<Overlay> clear;
    std::vector<std::string> complaints;  // one line each, said once for each content of a file
  };
  // `laid`: the overlays there are now; those with a source are ours to end, also those of a life before this one.
  News take(const SpoolListing& listing, const Plan& plan, const std::vector<Overlay>& laid, WallTime now);

  // The plan changed: every file is read anew, since what it names may have come or gone.
  void forget() { known_.clear(); }

  std::size_t refused() const;
  bool is_blind() const { return is_blind_; }  // the folder could not be read at the last look

 private:
  struct Known {
    std::uint64_t stamp = 0;
    std::optional<Overlay> overlay;  // the last that made sense
    bool is_refused = false;
  };
  std::map<std::string, Known> known_;  // by name
  std::string folder_, complained_;
  bool is_blind_ = false;
};

}  // namespace vital
