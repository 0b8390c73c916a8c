// The order of the lines; see trial.hpp.
#include "trial/trial.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/text.hpp"
#include "modules/one_shot.hpp"
#include "trial/life.hpp"
#include "trial/subject.hpp"
#include "trial/table.hpp"
#include "trial/valgrind.hpp"
#include "trial/written.hpp"

namespace vital::trial {
namespace {

using namespace std::chrono_literals;

constexpr Duration patience = 10s;
constexpr unsigned valgrind_rounds = 20;

class Trial {
 public:
  Trial(const TrialOptions& options, const std::function<void(const Line&)>& told) : options_(options), told_(told) {
    path_ = std::filesystem::absolute(options.module).lexically_normal().string();
  }

  std::vector<Line> run() {
    if (look_at_file() && describe() && look_at_table() && read_options()) {
      try_wrong_values();
      try_edges();
      Life life(options_, spec_, [this](Line line) { tell(std::move(line)); });
      if (life.creates() && life.probes()) {
        life.keeps_deadlines();
        life.is_cancelled();
        life.lasts();
        life.hands_in_well();
        tell(run_valgrind(options_, valgrind_rounds));
      } else {
        life.hands_in_well();
      }
    }
    return std::move(lines_);
  }

 private:
  void tell(Line line) {
    if (told_) told_(line);
    lines_.push_back(std::move(line));
  }
  void pass(std::string name, std::string text) { tell({std::move(name), Outcome::pass, std::move(text), {}}); }
  bool fail(std::string name, std::string text, std::string advice) {
    tell({std::move(name), Outcome::fail, std::move(text), std::move(advice)});
    return false;
  }

  bool look_at_file() {
    struct stat seen {};
    if (stat(path_.c_str(), &seen) != 0)
      return fail("file", fmt::format("{}: {}", options_.module, std::strerror(errno)), "name the .so that was built");
    if (!path_.ends_with(".so"))
      return fail("file", options_.module + " is not called TYPE.so", "name it after its type");
    if ((seen.st_mode & (S_IWOTH | S_IWGRP)) != 0)
      return fail("file", options_.module + " is writable by others, the agent will refuse it",
                  "chmod go-w; installed it belongs to root, mode 644");
    pass("file", options_.module);
    return true;
  }

  bool describe() {
    OneShot worker(options_.worker, "describe");
    std::string how;
    const auto answer = worker.ask(wire::Describe{path_}, patience, &how);
    const auto* described = answer ? std::get_if<wire::Described>(&*answer) : nullptr;
    if (described == nullptr)
      return fail("describe", how + " while it was loaded",
                  "constructors of static objects run at load: keep them harmless");
    if (!described->problem.empty())
      return fail("describe", described->problem, "include/vitald/module.h says what is expected");
    module_ = described->info;
    module_.path = path_;
    pass("describe", fmt::format("{} {}, {}, {} options", module_.type, module_.version,
                                 module_.lane == Lane::async ? "async" : "blocking", module_.options.size()));
    return true;
  }

  bool look_at_table() {
    const std::vector<std::string> remarks = table_remarks(module_);
    if (remarks.empty()) {
      pass("table", "it says of itself what others need to know");
    } else {
      fail("table", join(remarks, "; "), "correct the option table");
    }
    return true;
  }

  bool read_options() {
    std::string why;
    words_ = Written::parse(options_.words, &why);
    if (!why.empty()) return fail("options", why, "as for vitald-worker --probe: port=5432 headers.Name=value");
    written_ = std::make_unique<Written>(module_);
    const Reading reading = written_->read(words_);
    spec_ = reading.spec;
    if (spec_ == nullptr)
      return fail("options", join(reading.problems, "; "), "give the options it needs, as option=value");
    pass("options", fmt::format("{} given, {} with their defaults", words_.size(), spec_->values.size()));
    return true;
  }

  // What the table says is refused before the module sees it.
  void try_wrong_values() {
    std::vector<std::string> taken;
    unsigned tried = 0;
    for (const OptionSpec& o : module_.options) {
      const std::string key = Written::key_of(o);
      if (o.is_required) {
        ++tried;
        if (written_->read(Written::without(words_, key)).spec != nullptr) taken.push_back("no " + key);
      }
      for (const std::string& value : Written::wrong_values(o)) {
        ++tried;
        if (written_->read(Written::with(words_, key, value)).spec != nullptr) taken.push_back(key + "=" + value);
      }
    }
    if (!taken.empty()) {
      fail("refusals", "taken although the table says otherwise: " + join(taken, ", "),
           "correct type, range or choices");
    } else {
      pass("refusals", fmt::format("{} missing or wrong values refused", tried));
    }
  }

  // What the table allows the module must survive; it may refuse it in words.
  void try_edges() {
    std::unique_ptr<Subject> subject;
    unsigned tried = 0;
    for (const OptionSpec& o : module_.options) {
      for (const std::string& value : Written::edge_values(o)) {
        const Reading reading = written_->read(Written::with(words_, Written::key_of(o), value));
        if (reading.spec == nullptr) continue;
        ++tried;
        if (subject == nullptr) subject = std::make_unique<Subject>(options_.worker, module_.lane == Lane::async);
        subject->prepare(1, *reading.spec);
        const auto made = subject->create(1, patience);
        subject->forget(1);
        if (made && subject->ping(patience)) continue;
        fail("edges", fmt::format("{}={}: {}", o.name, value, subject->death()),
             "narrow the range in the table, or refuse it in create()");
        return;
      }
    }
    pass("edges", fmt::format("{} values at the edge of what the table allows", tried));
  }

  const TrialOptions& options_;
  const std::function<void(const Line&)>& told_;
  std::string path_;
  std::vector<Line> lines_;
  ModuleInfo module_;
  Words words_;
  std::unique_ptr<Written> written_;
  std::shared_ptr<const CheckSpec> spec_;
};

}  // namespace

std::vector<Line> run_trial(const TrialOptions& options, const std::function<void(const Line&)>& told) {
  return Trial(options, told).run();
}

}  // namespace vital::trial
