// The agent's spool: overlays laid by files; see agent.hpp, spool.hpp, spool_folder.hpp.
#include <algorithm>
#include <utility>

#include "agent/agent.hpp"
#include "base/text.hpp"

namespace vital {

void Agent::watch_spool() {
  const std::string folder = config_->spool;
  if (spool_folder_ && spool_folder_->folder() == folder) {
    // What its files name may have come or gone with the new config.
    spool_.forget();
    spool_folder_->look();
    return;
  }
  spool_folder_.reset();
  spool_ = SpoolBook();
  if (folder.empty()) return spooled({});  // no folder, no files: what they laid ends
  spool_folder_ =
      std::make_unique<SpoolFolder>(loop_, mail_, folder, [this](const SpoolListing& seen) { spooled(seen); });
}

void Agent::spooled(const SpoolListing& listing) {
  const Now now = Loop::both();
  const auto snapshot = performer_->snapshot();
  const SpoolBook::News news = spool_.take(listing, performer_->plan(), snapshot->overlays, now.wall);
  for (const std::string& text : news.complaints) say(Note::Level::warning, "spool_refused", {{"text", text}});
  for (const Overlay& o : news.clear) performer_->apply(now, ClearOverlay{o.service, o.source});
  for (const Overlay& o : news.set) performer_->apply(now, SetOverlay{o});
  if (!news.clear.empty() || !news.set.empty()) save_state({});
}

std::string Agent::spool_metrics() const {
  const auto& overlays = performer_->snapshot()->overlays;
  const auto laid = std::count_if(overlays.begin(), overlays.end(), [](const Overlay& o) { return !o.source.empty(); });
  return "# HELP vitald_spool_files Files in the overlay spool: in force, or refused.\n"
         "# TYPE vitald_spool_files gauge\n"
         "vitald_spool_files{state=\"laid\"} " +
         std::to_string(laid) + "\nvitald_spool_files{state=\"refused\"} " + std::to_string(spool_.refused()) +
         "\n# HELP vitald_spool_unreadable 1 while the overlay spool cannot be read: what it said last stands.\n"
         "# TYPE vitald_spool_unreadable gauge\nvitald_spool_unreadable " +
         std::to_string(spool_.is_blind() ? 1 : 0) + "\n";
}

}  // namespace vital
