// Steps: what ports that run one program after another have in common: the program under way, and who is told in the
// end. [loop]
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "outputs/port.hpp"
#include "outputs/program_run.hpp"

namespace vital {

class Steps : public Port {
 public:
  explicit Steps(Loop& loop) : loop_(loop) {}

  // The look ends as a failure when the program is dead.
  void cancel() override {
    is_cancelled_ = true;
    if (run_) run_->kill();
  }

 protected:
  void begin(Done done) {
    done_ = std::move(done);
    is_cancelled_ = false;
  }

  // Runs `program`, then `next`; not if the look was cancelled meanwhile.
  void run(Program program, std::function<void(const Ran&)> next) {
    run_ = std::make_unique<ProgramRun>(loop_, std::move(program), [this, next = std::move(next)](const Ran& ran) {
      if (is_cancelled_) return fail("was killed");
      const Ran kept = ran;
      next(kept);
    });
  }

  void finish(Synced synced) {
    if (const auto tell = std::exchange(done_, {})) tell(synced);
  }
  void fail(std::string error) { finish({Synced::How::failed, std::move(error), {}, {}}); }

  Loop& loop() { return loop_; }

 private:
  Loop& loop_;
  Done done_;
  bool is_cancelled_ = false;
  std::unique_ptr<ProgramRun> run_;
};

}  // namespace vital
