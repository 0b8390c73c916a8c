// See pacemaker_status.hpp.
#include "pacemaker_status.hpp"

#include <expat.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <new>

namespace vital::action::pacemaker {
namespace {

constexpr std::size_t most_deep = 64;
constexpr std::size_t most_bytes = 8UL * 1024 * 1024;
constexpr long minus_infinity = -1000000;

// The beginning or the end of an element.
struct Tag {
  std::string name;
  std::map<std::string, std::string> attributes;
  bool is_end = false;

  std::string text(const char* attribute) const {
    const auto at = attributes.find(attribute);
    return at == attributes.end() ? "" : at->second;
  }
  bool is(const char* attribute) const { return text(attribute) == "true"; }
};

// Each tag, until `take` says false, the document ends or it is no XML.
using Take = std::function<bool(const Tag&)>;
void each_tag(std::string_view xml, const Take& take) {
  struct Reading {
    XML_Parser parser;
    const Take& take;
    void give(const Tag& tag) const {
      if (!take(tag)) XML_StopParser(parser, XML_FALSE);
    }
  };
  struct Free {
    void operator()(XML_Parser p) const { XML_ParserFree(p); }
  };
  const std::unique_ptr<std::remove_pointer_t<XML_Parser>, Free> parser(XML_ParserCreate(nullptr));
  if (!parser) throw std::bad_alloc();
  Reading reading{parser.get(), take};
  XML_SetUserData(parser.get(), &reading);
  // No exception may pass through the library.
  XML_SetElementHandler(
      parser.get(),
      [](void* data, const XML_Char* name, const XML_Char** attributes) noexcept {
        Tag tag{name, {}, false};
        for (; *attributes != nullptr; attributes += 2) tag.attributes[attributes[0]] = attributes[1];
        static_cast<const Reading*>(data)->give(tag);
      },
      [](void* data, const XML_Char* name) noexcept {
        static_cast<const Reading*>(data)->give({name, {}, true});
      });
  XML_Parse(parser.get(), xml.data(), static_cast<int>(std::min(xml.size(), most_bytes)), XML_TRUE);
}

Node node_of(const Tag& tag) {
  Node out;
  out.name = tag.text("name");
  out.is_online = tag.is("online");
  out.is_standby = tag.is("standby") || tag.is("standby_onfail");
  out.is_in_maintenance = tag.is("maintenance");
  out.is_pending = tag.is("pending");
  out.is_unclean = tag.is("unclean");
  return out;
}

// Puts together what is nested.
class Reader {
 public:
  bool take(const Tag& tag) {
    if (tag.is_end) {
      if (tag.name == "resource") leave_resource();
      if (tag.name == "pacemaker-result") is_whole = true;
      path_.pop_back();
      return true;
    }
    enter(tag);
    path_.push_back(tag);
    return path_.size() <= most_deep;
  }

  Status status;
  bool is_whole = false;
  bool has_options = false;

 private:
  bool is_in(const char* name) const {
    return std::any_of(path_.begin(), path_.end(), [&](const Tag& t) { return t.name == name; });
  }

  void enter(const Tag& tag) {
    if (tag.name == "current_dc") {
      if (tag.is("present")) status.dc = tag.text("name");
      status.has_quorum = tag.is("present") && tag.is("with_quorum");
    } else if (tag.name == "cluster_options") {
      has_options = true;
      status.is_in_maintenance = tag.is("maintenance-mode");
      status.has_fencing = tag.is("stonith-enabled");
    } else if (tag.name == "ban") {
      if (std::strtol(tag.text("weight").c_str(), nullptr, 10) > minus_infinity) return;
      status.bans.push_back({tag.text("resource"), tag.text("node"), tag.is("promoted-only")});
    } else if (is_in("resources")) {
      enter_resource(tag);
    } else if (tag.name == "node" && is_in("nodes")) {
      status.nodes.push_back(node_of(tag));
    }
  }

  void enter_resource(const Tag& tag) {
    if (tag.name == "clone" && tag.is("multi_state")) status.promotable.push_back(tag.text("id"));
    if (tag.name == "node" && is_in("resource")) {
      instance_.node = tag.text("name");
      status.instances.push_back(instance_);
      has_node_ = true;
    }
    if (tag.name != "resource") return;
    has_node_ = false;
    instance_ = {};
    for (const Tag& outer : path_) {
      if (outer.name != "resources" && !outer.text("id").empty()) instance_.names.push_back(outer.text("id"));
    }
    const std::string id = tag.text("id");
    instance_.names.push_back(id);
    if (const auto colon = id.rfind(':'); colon != std::string::npos) instance_.names.push_back(id.substr(0, colon));
    instance_.role = tag.text("role");
    // The words of Pacemaker 2.0.
    if (instance_.role == "Master") instance_.role = "Promoted";
    if (instance_.role == "Slave") instance_.role = "Unpromoted";
    instance_.is_managed = tag.is("managed");
    instance_.is_failed = tag.is("failed") || tag.is("blocked");
    const std::string pending = tag.text("pending");
    instance_.is_changing = !pending.empty() && pending != "Monitoring";
  }
  void leave_resource() {
    if (!has_node_) status.instances.push_back(instance_);
  }

  std::vector<Tag> path_;
  Instance instance_;
  bool has_node_ = false;
};

const Node* find(const Status& seen, const std::string& name) {
  const auto at = std::find_if(seen.nodes.begin(), seen.nodes.end(), [&](const Node& n) { return n.name == name; });
  return at == seen.nodes.end() ? nullptr : &*at;
}

bool is_of(const Instance& i, const std::string& resource) {
  return resource.empty() || std::find(i.names.begin(), i.names.end(), resource) != i.names.end();
}

bool could_run(const Node& n) { return n.is_online && !n.is_standby && !n.is_in_maintenance && !n.is_pending; }

bool is_banned(const Status& seen, const Asked& asked, const std::string& node) {
  return std::any_of(seen.bans.begin(), seen.bans.end(), [&](const Ban& b) {
    return b.resource == asked.resource && b.node == node && (asked.is_of_promoted || !b.is_of_promoted);
  });
}

std::string advice(const Asked& asked, const std::string& node) {
  return "; crm_resource --clear -r " + asked.resource + " -N " + node + " ends that";
}

template <typename All, typename Name>
std::string listed(const All& all, Name name) {
  std::string out;
  for (const auto& one : all) out += (out.empty() ? "" : ", ") + name(one);
  return out.empty() ? "none" : out;
}

// Whether this node, as far as Pacemaker can know, runs nothing that it is not shown to run.
std::string doubt_about(const Status& seen, const Node& node) {
  if (node.is_unclean) return node.name + " is unclean: what runs there is not known";
  if (!node.is_online && !seen.has_fencing) {
    return node.name + " is offline and this cluster has no fencing: what runs there is not known";
  }
  return "";
}

std::string resource_obstacle(const Status& seen, const Asked& asked) {
  bool is_known = false;
  for (const Instance& i : seen.instances) {
    if (!is_of(i, asked.resource)) continue;
    is_known = true;
    if (!i.is_managed) return i.names.back() + " is not managed by Pacemaker now";
  }
  if (!is_known) return "Pacemaker knows no resource " + asked.resource;
  const bool is_promotable =
      std::find(seen.promotable.begin(), seen.promotable.end(), asked.resource) != seen.promotable.end();
  if (is_promotable && !asked.is_of_promoted) {
    return asked.resource + " is promotable: write promoted: true to mean where it is promoted";
  }
  if (!is_promotable && asked.is_of_promoted) return asked.resource + " is not promotable: remove promoted";
  return "";
}

}  // namespace

std::optional<Status> read_status(std::string_view xml, std::string& why) {
  Reader reader;
  each_tag(xml, [&](const Tag& tag) { return reader.take(tag); });
  if (!reader.is_whole) return why = "its XML is cut off or broken", std::nullopt;
  if (!reader.has_options || reader.status.nodes.empty()) return why = "it shows no options or no nodes", std::nullopt;
  return reader.status;
}

std::string trouble_in(std::string_view xml) {
  std::string out;
  each_tag(xml, [&](const Tag& tag) {
    if (tag.name == "status" && !tag.is_end && tag.text("code") != "0") out = tag.text("message");
    return true;
  });
  return out;
}

std::string controller_state_in(std::string_view xml) {
  std::string out;
  each_tag(xml, [&](const Tag& tag) {
    if (tag.name == "crmd" && !tag.is_end) out = tag.text("state");
    return out.empty();
  });
  return out;
}

std::vector<std::string> constraints_in(std::string_view xml) {
  std::vector<std::string> out;
  each_tag(xml, [&](const Tag& tag) {
    if (tag.name == "rsc_location" && !tag.is_end) out.push_back(tag.text("id"));
    return true;
  });
  return out;
}

std::string obstacle(const Status& seen, const Asked& asked) {
  if (!seen.has_quorum) return "the part of the cluster this node is in has no quorum";
  if (seen.is_in_maintenance) return "the cluster is in maintenance mode: Pacemaker would do nothing";
  const Node* node = find(seen, asked.node);
  if (node == nullptr) {
    return "Pacemaker knows no node " + asked.node + "; it knows " +
           listed(seen.nodes, [](const Node& n) { return n.name; });
  }
  if (node->is_in_maintenance) return node->name + " is in maintenance: Pacemaker would do nothing there";
  if (asked.wish != Wish::standby) {
    if (std::string why = resource_obstacle(seen, asked); !why.empty()) return why;
  }
  if (asked.wish == Wish::move) {
    if (!could_run(*node)) return node->name + " can run nothing now: " + (node->is_online ? "standby" : "offline");
    if (is_banned(seen, asked, node->name)) {
      return "a constraint forbids " + asked.resource + " on " + node->name + advice(asked, node->name);
    }
    return "";
  }
  // It must be able to run elsewhere.
  std::string banned;
  for (const Node& other : seen.nodes) {
    if (other.name == asked.node || !could_run(other)) continue;
    if (asked.wish == Wish::standby || !is_banned(seen, asked, other.name)) return "";
    banned = other.name;
  }
  if (banned.empty()) return "no other node could take over from " + asked.node;
  return "a constraint forbids " + asked.resource + " on " + banned + ", so it could run nowhere" +
         advice(asked, banned);
}

Claim judge(const Status& seen, const Asked& asked) {
  const Node* node = find(seen, asked.node);
  if (node == nullptr) return {false, "Pacemaker knows no node " + asked.node};
  std::vector<const Instance*> here, elsewhere;
  bool is_settled = true;
  for (const Instance& i : seen.instances) {
    if (!is_of(i, asked.resource)) continue;
    is_settled = is_settled && !i.is_changing;
    // While a promotion or a demotion is under way the instance counts as promoted.
    const bool counts = !i.node.empty() && (!asked.is_of_promoted || i.role == "Promoted" || i.is_changing);
    if (counts) (i.node == asked.node ? here : elsewhere).push_back(&i);
  }
  const auto names = [](const std::vector<const Instance*>& all) {
    return listed(all, [](const Instance* i) { return i->names.back() + " (" + i->role + ", " + i->node + ")"; });
  };
  if (asked.wish == Wish::move) {
    const bool is_here = !here.empty() && elsewhere.empty() && is_settled &&
                         std::none_of(here.begin(), here.end(), [](const Instance* i) { return i->is_failed; });
    if (is_here) return {true, asked.resource + " runs on " + asked.node};
    here.insert(here.end(), elsewhere.begin(), elsewhere.end());
    return {false, asked.resource + " is to run on " + asked.node + ", and is: " + names(here)};
  }
  if (!here.empty()) return {false, asked.node + " still runs " + names(here)};
  if (asked.wish == Wish::standby && !node->is_standby) return {false, asked.node + " is not in standby"};
  if (asked.wish == Wish::ban && !is_banned(seen, asked, asked.node)) {
    return {false, "no constraint forbids " + asked.resource + " on " + asked.node};
  }
  if (std::string why = doubt_about(seen, *node); !why.empty()) return {false, why};
  return {true, asked.wish == Wish::standby ? asked.node + " is in standby and runs nothing"
                                            : asked.resource + " does not run on " + asked.node + ", nor may it"};
}

}  // namespace vital::action::pacemaker
