// From a snapshot to what is to be said; see word.hpp.
#include "outputs/word.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace vital {
namespace {

Told told_of(const ServiceView& view) {
  switch (view.overlay) {
    case OverlayKind::drain:
      return Told::drain;
    case OverlayKind::maintenance:
      return Told::maintenance;
    case OverlayKind::none:
      break;
  }
  switch (view.answer) {
    case Verdict::pass:
      return Told::pass;
    case Verdict::warn:
      return Told::warn;
    case Verdict::fail:
    case Verdict::unknown:
      return Told::fail;
  }
  return Told::fail;
}

const std::vector<OutputMember>* members_of(const OutputTarget& target) {
  if (const auto* nginx = std::get_if<NginxOutput>(&target)) return &nginx->members;
  if (const auto* envoy = std::get_if<EnvoyOutput>(&target)) return &envoy->members;
  return nullptr;
}

std::string key_of(const Word& word) { return fmt::format("{}={}/{}", word.subject, name(word.told), word.weight); }

}  // namespace

std::optional<Word> word_of(const Snapshot& snapshot, std::string_view service) {
  const ServiceView* view = &snapshot.node;
  Word out;
  out.subject = snapshot.plan->node;
  if (!service.empty()) {
    const auto id = snapshot.plan->find_service(service);
    if (!id) return {};
    view = &snapshot.at(*id);
    out.subject = service;
  }
  if (view->overlay == OverlayKind::none && view->state == State::pending) return {};
  out.told = told_of(*view);
  if (out.told == Told::pass || out.told == Told::warn) out.weight = std::min(view->weight, 100U);
  out.reason = one_line(view->reason, 400);
  out.since = view->since;
  return out;
}

std::optional<Wanted> wanted_by(const OutputSpec& spec, const std::shared_ptr<const Snapshot>& snapshot) {
  // A stop that takes no time is not announced: whoever restarts the agent wants nothing to move.
  if (snapshot->is_stopping && snapshot->plan->shutdown_drain == Duration{}) return {};
  auto word = word_of(*snapshot, spec.service);
  Wanted out;
  if (std::holds_alternative<FileOutput>(spec.target)) {
    // Tells everything, ignorance too.
    out.word = word.value_or(Word{});
    out.key = key_of(out.word);
    out.detail = fmt::format("seq {}", snapshot->seq);
    out.snapshot = snapshot;
    return out;
  }
  if (const auto* members = members_of(spec.target)) {
    for (const OutputMember& m : *members) {
      auto each = word_of(*snapshot, m.service.empty() ? spec.service : m.service);
      if (!each) return {};  // one file holds them all, so it is written when all are known
      out.key += key_of(*each) + " ";
      out.members.push_back(std::move(*each));
    }
    if (!word) word.emplace();
  } else if (!word) {
    return {};
  } else {
    out.key = key_of(*word);
  }
  out.word = std::move(*word);
  out.snapshot = snapshot;
  return out;
}

std::optional<Wanted> farewell_of(const OutputSpec& spec, const std::optional<Wanted>& last) {
  if (spec.on_stop == OnStop::leave) return {};
  Wanted out = last.value_or(Wanted{});
  out.word.reason = "vitald has stopped";
  switch (spec.on_stop) {
    case OnStop::leave:
      return {};
    case OnStop::pass:
      out.word.told = Told::pass;
      out.word.weight = 100;
      out.word.reason.clear();
      break;
    case OnStop::fail:
      out.word.told = Told::fail;
      out.word.weight = 0;
      break;
    case OnStop::withdraw:
      out.is_withdrawn = true;
      break;
  }
  out.key = out.is_withdrawn ? "withdrawn" : key_of(out.word);
  return out;
}

}  // namespace vital
