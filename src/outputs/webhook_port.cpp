// The webhook: every change is a message, in order, until the receiver takes it. The queue stands on disk before a
// message is sent, so that a restart loses none; one may come twice, with the same id. See http_ports.hpp.
#include <chrono>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "outputs/event_queue.hpp"
#include "outputs/file_keeper.hpp"
#include "outputs/http_ports.hpp"
#include "outputs/http_steps.hpp"
#include "outputs/signature.hpp"

namespace vital {
namespace {

// What the receiver will never take, however often it is sent.
bool is_final(int status) { return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429; }

class WebhookPort final : public HttpSteps {
 public:
  WebhookPort(Loop& loop, std::string helper, const std::string& queue_file, OutputSpec spec, WebhookOutput to)
      : HttpSteps(loop, std::move(helper), to.http, spec.timeout),
        keeper_(loop, queue_file),
        spec_(std::move(spec)),
        to_(std::move(to)) {
    hide(to_.secret);
    const std::string& url = to_.http.bases.front();
    if (const std::string origin = origin_of(url); url.size() > origin.size() + 1) hide(url.substr(origin.size()));
  }

  void heard(const Wanted& wanted) override {
    if (!is_loaded_) {
      if (early_.size() == EventQueue::most) early_.erase(early_.begin());
      early_.emplace_back(wanted, Loop::both().wall);
      return;
    }
    hear(wanted, Loop::both().wall);
  }

  void sync(const Wanted&, Done done) override {
    begin(std::move(done));
    has_delivered_ = false;
    if (is_loaded_) return save();
    FileJob job;
    job.is_only_read = true;
    keeper_.sync(std::move(job), [this](const Synced& read) { loaded(read); });
  }

  bool has_stray() const override { return keeper_.is_busy(); }
  std::size_t queued() const override { return queue_.events().size() + early_.size(); }
  std::size_t dropped() const override { return queue_.dropped(); }

 private:
  void hear(const Wanted& wanted, WallTime when) {
    const std::string node = wanted.snapshot ? wanted.snapshot->plan->node : wanted.word.subject;
    if (queue_.hear(spec_.name, node, spec_.service, wanted, when)) is_dirty_ = true;
  }

  void loaded(const Synced& read) {
    if (read.how == Synced::How::failed) return fail(read.error);
    if (!read.held.empty()) queue_.restore(read.held, &trouble_);
    is_loaded_ = true;
    for (const auto& [wanted, when] : std::exchange(early_, {})) hear(wanted, when);
    save();
  }

  // The disk may be full: then the messages go out all the same, and the output says that they would not survive.
  void save() {
    if (!is_dirty_) return deliver();
    is_dirty_ = false;
    FileJob job;
    job.text = [text = queue_.print()] { return text; };
    keeper_.sync(std::move(job), [this](const Synced& synced) {
      trouble_ = synced.how == Synced::How::failed ? "the queue is not on disk: " + synced.error : "";
      if (!trouble_.empty()) is_dirty_ = true;
      has_delivered_ ? conclude() : deliver();
    });
  }

  void deliver() {
    const WallTime now = Loop::both().wall;
    const std::size_t before = queue_.dropped();
    queue_.drop_older_than(now - std::chrono::duration_cast<std::chrono::milliseconds>(to_.give_up_after));
    if (queue_.dropped() != before) is_dirty_ = true;
    if (queue_.events().empty()) return conclude();
    const QueuedEvent& event = queue_.events().front();
    const std::string timestamp =
        std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    HttpRequest request{
        "POST",
        "",
        {"Content-Type: application/json", "X-Vitald-Id: " + event.id, "X-Vitald-Timestamp: " + timestamp},
        event.body};
    if (!to_.secret.empty())
      request.headers.push_back("X-Vitald-Signature: " + signature_of(to_.secret, timestamp, event.body));
    call({request},
         [this](const std::vector<HttpReply>& replies, const std::string& trouble) { answered(replies, trouble); });
  }

  void answered(const std::vector<HttpReply>& replies, const std::string& trouble) {
    if (!trouble.empty()) {
      if (replies.empty() || !is_final(replies.back().status)) return fail(trouble);
      queue_.refused();
      is_dirty_ = true;
      return fail(trouble + "; the message was dropped");
    }
    queue_.taken();
    is_dirty_ = has_delivered_ = true;
    save();
  }

  void conclude() {
    if (!trouble_.empty()) return fail(trouble_);
    // One message a look, so that the deadline is that of one.
    if (!queue_.events().empty()) return finish({Synced::How::waiting, {}, {}, {}});
    finish({has_delivered_ ? Synced::How::written : Synced::How::kept, {}, {}, {}});
  }

  FileKeeper keeper_;
  OutputSpec spec_;
  WebhookOutput to_;
  EventQueue queue_;
  std::vector<std::pair<Wanted, WallTime>> early_;  // heard before the queue was read
  std::string trouble_;                             // with the disk
  bool is_loaded_ = false;
  bool is_dirty_ = false;  // the queue differs from what is on disk
  bool has_delivered_ = false;
};

}  // namespace

std::unique_ptr<Port> make_webhook_port(Loop& loop, const std::string& helper, const std::string& queue_file,
                                        const OutputSpec& spec, const WebhookOutput& to) {
  return std::make_unique<WebhookPort>(loop, helper, queue_file, spec, to);
}

}  // namespace vital
