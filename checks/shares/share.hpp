// What is asked of a share of files, whoever serves it: a canary that must have a content, a file of ours that is
// written and read back, and the space that is left. nfs, smb and mount bring the Share; the questions and their order
// are here. [worker]
//
//   const Wanted wanted(options);                                      // in the constructor of the check
//   Result result = wanted.look(share, pass("mounted ..."), target);   // in its probe; the share throws Stop
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vitald/check.hpp>

#include "../amount.hpp"
#include "../findings.hpp"
#include "../net/options.hpp"

namespace vital::check::shares {

constexpr std::size_t most_bytes = 1 << 20;  // of a canary

struct Space {
  double free = 0, size = 0;  // bytes, for users other than root; size 0: the share does not say
};

// An open share. Every call throws Stop with the verdict and a text that need not name the share; `file` is a path
// below the share's root.
class Share {
 public:
  virtual ~Share() = default;
  virtual Space space() = 0;
  // The content, or the first most_bytes + 1 bytes of it.
  virtual std::string read(const std::string& file) = 0;
  // Makes or overwrites the file, and returns when the server says that it is on its disk.
  virtual void write(const std::string& file, const std::string& text) = 0;
};

class Wanted {
 public:
  // Throws Invalid.
  explicit Wanted(const Options& o);

  // `well` with what was found, its measures (read, write, free, free_percent) and the worst verdict.
  Result look(Share& share, Result well, const std::string& target) const;

 private:
  void ask(Share& share, Findings& found, Result& well) const;
  void judge_space(const Space& space, Findings& found, Result& result) const;
  void judge_canary(const std::string& content, Findings& found) const;

  std::string file_, sha256_, write_file_;
  std::optional<std::string> expect_;
  Floors free_;
};

// SHA-256 of `content` in lower-case hexadecimal.
std::string sha256_of(const std::string& content);

// The option rows of Wanted, put behind those of a check's own.
template <std::size_t N>
constexpr net::Rows<N + 6> with_files(const OptionRow (&own)[N]) {
  net::Rows<N + 6> out{};
  for (std::size_t i = 0; i < N; ++i) out.rows[i] = own[i];
  const OptionRow shared[] = {
      {"file", Type::string, nullptr, "a file, below the root of the share, that must be readable", "vitald/canary"},
      {"expect", Type::string, nullptr, "what the file must contain, byte for byte but for line ends at its end",
       "alive"},
      {"sha256", Type::string, nullptr, "the SHA-256 of the whole file, in hexadecimal"},
      {"write_file", Type::string, nullptr,
       "a file of this node's own that is overwritten, flushed to the server's disk, and read back",
       "vitald/${HOSTNAME}"},
      {"warn_free", Type::size_or_percent, nullptr, "less space than this left is a warning", "10%"},
      {"fail_free", Type::size_or_percent, nullptr, "less than this is a failure", "500MiB"},
  };
  for (std::size_t i = 0; i < 6; ++i) out.rows[N + i] = shared[i];
  return out;
}

}  // namespace vital::check::shares
