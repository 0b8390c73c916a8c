// See haproxy_port.hpp.
#include "outputs/haproxy_port.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "outputs/exchange.hpp"
#include "outputs/haproxy_words.hpp"

namespace vital {
namespace {

constexpr std::size_t most_answer = 4 * 1024 * 1024;

// One HAProxy: what it said last, and the look that is under way.
struct Side {
  std::string socket;
  std::unique_ptr<Exchange> exchange;  // null when its look is over
  std::string trouble;
  std::string held;
  bool is_told = false;  // commands were sent in this look
  std::optional<std::size_t> users;
};

class HaproxyPort final : public Port {
 public:
  HaproxyPort(Loop& loop, HaproxyOutput to) : loop_(loop), to_(std::move(to)) {
    for (const std::string& socket : to_.sockets) sides_.push_back({socket, nullptr, {}, {}, false, {}});
  }

  void sync(const Wanted& wanted, Done done) override {
    word_ = wanted.word;
    done_ = std::move(done);
    for (Side& side : sides_) {
      side.trouble.clear();
      side.is_told = false;
    }
    for (Side& side : sides_) ask(side);
  }

  void cancel() override {
    for (Side& side : sides_) {
      if (!side.exchange) continue;
      side.exchange.reset();
      side.trouble = "gave no answer in time";
    }
    finish();
  }

  std::optional<std::size_t> users() const override {
    std::size_t sum = 0;
    for (const Side& side : sides_) {
      if (!side.users) return {};
      sum += *side.users;
    }
    return sum;
  }

 private:
  void ask(Side& side) {
    side.exchange = std::make_unique<Exchange>(
        loop_, side.socket, haproxy::question(to_), most_answer,
        [this, &side](const std::string& answer, const std::string& trouble) { answered(side, answer, trouble); });
  }

  void answered(Side& side, const std::string& answer, const std::string& trouble) {
    if (!trouble.empty()) return end(side, trouble);
    std::string problem;
    const auto seen = haproxy::parse(answer, &problem);
    if (!seen) return end(side, problem);
    side.users = 0;
    for (const std::string& server : to_.servers) {
      if (const auto at = seen->find(server); at != seen->end()) *side.users += at->second.sessions;
    }
    const auto commands = haproxy::commands(to_, word_, *seen, &problem);
    if (!problem.empty()) return end(side, problem);
    if (commands.empty()) return end(side, "");
    if (side.is_told) return end(side, "it was told, and holds " + haproxy::describe(to_, *seen));
    side.is_told = true;
    side.held = haproxy::describe(to_, *seen);
    side.exchange = std::make_unique<Exchange>(loop_, side.socket, join(commands, ";") + "\n", most_answer,
                                               [this, &side](const std::string& said, const std::string& why) {
                                                 const std::string refused =
                                                     why.empty() ? haproxy::complaints(said) : why;
                                                 if (!refused.empty()) return end(side, refused);
                                                 ask(side);
                                               });
  }

  void end(Side& side, const std::string& trouble) {
    side.trouble = trouble;
    side.exchange.reset();
    finish();
  }

  void finish() {
    if (!done_ || std::any_of(sides_.begin(), sides_.end(), [](const Side& s) { return s.exchange != nullptr; }))
      return;
    Synced out{Synced::How::kept, {}, {}, {}};
    for (const Side& side : sides_) {
      if (side.is_told && out.how == Synced::How::kept) out.how = Synced::How::written;
      if (side.is_told && out.held.empty()) out.held = side.held;
      if (side.trouble.empty()) continue;
      out.how = Synced::How::failed;
      out.error += (out.error.empty() ? "" : "; ") + side.socket + ": " + side.trouble;
    }
    out.error = one_line(out.error, 400);
    loop_.post([alive = std::weak_ptr<int>(life_), out, tell = std::exchange(done_, {})] {
      if (!alive.expired()) tell(out);
    });
  }

  Loop& loop_;
  HaproxyOutput to_;
  Word word_;
  Done done_;
  std::vector<Side> sides_;  // never grows: referred to
  std::shared_ptr<int> life_ = std::make_shared<int>(0);
};

}  // namespace

std::unique_ptr<Port> make_haproxy_port(Loop& loop, const HaproxyOutput& to) {
  return std::make_unique<HaproxyPort>(loop, to);
}

}  // namespace vital
