// Pattern: a regular expression that cannot be made to take long. Text is fed in pieces as it arrives, each byte costs
// at most the size of the compiled pattern, nothing of the text is kept, and nothing recurses over it, so that a
// hostile answer can neither hold the loop nor overflow the stack, both of which it can with std::regex.
//
//   Pattern pattern("^status: (ok|fine)$");   // throws Pattern::Error with a line for the config's author
//   Pattern::Search search(pattern);
//   search.feed("status: ok");                // true as soon as the pattern is found
//   search.end();                             // resolves $ at the end of the text
//
// Syntax, as in RE2 and PCRE: . [a-z] [^...] [[:alpha:]] \d \w \s \b ^ $ | ( ) (?: ) * + ? {2,5}, flags (?ims) at the
// beginning, \xHH and the usual escapes. It works on bytes. No back references, no look-around.
#pragma once

#include <bitset>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vital::net {

class Pattern {
 public:
  struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  // Most instructions a compiled pattern may have: with this, 16 KiB of the worst text cost a few milliseconds.
  static constexpr size_t max_size = 1000;

  explicit Pattern(std::string_view text);

  // One pass over a text. Refers to the pattern, which must outlive it.
  class Search {
   public:
    explicit Search(const Pattern& pattern);
    bool feed(std::string_view piece);
    bool end();
    bool is_found() const { return is_found_; }

   private:
    static constexpr int nothing = -1;  // before the beginning, after the end
    static constexpr int not_yet = -2;  // the next byte is not known
    struct Set {
      std::vector<uint32_t> members;
      std::vector<uint32_t> where;
      bool has(uint32_t pc) const { return where[pc] < members.size() && members[where[pc]] == pc; }
      void add(uint32_t pc) {
        where[pc] = static_cast<uint32_t>(members.size());
        members.push_back(pc);
      }
    };
    void follow(Set& set, uint32_t pc, int next);
    void settle(int next);
    bool holds(uint32_t pc, int next) const;
    bool waits(uint32_t pc) const;

    const Pattern& pattern_;
    Set now_;
    Set later_;
    std::vector<uint32_t> todo_;
    int previous_ = nothing;
    bool is_found_ = false;
  };

  bool matches(std::string_view text) const {
    Search search(*this);
    return search.feed(text) || search.end();
  }

 private:
  friend class PatternCompiler;
  enum class Op : uint8_t { bytes, split, jump, begin, line_begin, end, line_end, edge, not_edge, found };
  struct Instruction {
    Op op = Op::found;
    uint32_t a = 0;  // bytes: index into classes_; split, jump: where to
    uint32_t b = 0;  // split: the other way
  };
  std::vector<Instruction> program_;
  std::vector<std::bitset<256>> classes_;
};

}  // namespace vital::net
