// A small invented node, for tests and for the demo: services web (app, db shared, cache not critical) and mail (smtp),
// with times that never change, so that what is rendered from them can be compared byte by byte.
#pragma once

#include <memory>

#include "core/snapshot.hpp"
#include "publish/view.hpp"

namespace vital::canned {

enum class Mood { pending, pass, warn, fail, drain, maintenance };

// The moment at which the snapshot was made.
Now moment();
std::shared_ptr<const Snapshot> snapshot(Mood mood, Now now = moment());
AgentFacts facts();
std::shared_ptr<const View> view(Mood mood, Now now = moment());

}  // namespace vital::canned
