// Modules for config tests: a handful of types with options of every kind, and a validate() that knows one complaint.
// They remember what they were asked.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/source.hpp"

namespace vital::config {

inline OptionSpec option(std::string name, OptionType type, std::string fallback = "") {
  OptionSpec o;
  o.name = std::move(name);
  o.type = type;
  if (!fallback.empty()) o.fallback = std::move(fallback);
  o.help = "help";
  return o;
}

inline OptionSpec required(OptionSpec o, std::string example = "") {
  o.is_required = true;
  o.example = std::move(example);
  return o;
}

inline OptionSpec secret(OptionSpec o) {
  o.is_secret = true;
  return o;
}

inline OptionSpec ranged(OptionSpec o, double min, double max) {
  o.range = {min, max};
  return o;
}

inline OptionSpec choice(std::string name, std::vector<std::string> choices, std::string fallback) {
  OptionSpec o = option(std::move(name), OptionType::choice, std::move(fallback));
  o.choices = std::move(choices);
  return o;
}

inline std::vector<ModuleInfo> fake_modules() {
  ModuleInfo http;
  http.type = "http";
  http.lane = Lane::async;
  http.options = {required(option("url", OptionType::string), "http://127.0.0.1:8080/healthz"),
                  option("method", OptionType::string, "GET"),
                  option("headers", OptionType::map),
                  option("user", OptionType::string),
                  secret(option("password", OptionType::string)),
                  option("expect.status", OptionType::list, "200-299"),
                  option("expect.body.contains", OptionType::string),
                  option("expect.body.matches", OptionType::string),
                  option("expect.body.json.pointer", OptionType::string),
                  option("expect.body.json.equals", OptionType::string),
                  ranged(option("max_body", OptionType::size, "64KiB"), 0, 16.0 * 1024 * 1024),
                  option("follow_redirects", OptionType::boolean, "false"),
                  choice("tls.mode", {"off", "prefer", "require", "verify"}, "verify"),
                  option("tls.ca", OptionType::string)};
  ModuleInfo tcp;
  tcp.type = "tcp";
  tcp.lane = Lane::async;
  tcp.options = {required(option("address", OptionType::string), "127.0.0.1:22"), option("send", OptionType::string),
                 option("expect", OptionType::string)};
  ModuleInfo db;
  db.type = "db";
  db.options = {option("host", OptionType::string, "127.0.0.1"),
                ranged(option("port", OptionType::integer, "5432"), 1, 65535),
                required(option("user", OptionType::string), "monitor"),
                secret(required(option("password", OptionType::string))),
                option("expect", OptionType::string),
                choice("role", {"primary", "standby", "any"}, "any"),
                ranged(option("max_lag", OptionType::duration), 0, 3600),
                ranged(option("ratio", OptionType::number, "0.5"), 0, 1)};
  ModuleInfo disk;
  disk.type = "disk";
  disk.options = {option("path", OptionType::string, "/"), option("warn_free", OptionType::size_or_percent, "10%"),
                  option("fail_free", OptionType::size_or_percent)};
  ModuleInfo plugin;
  plugin.type = "plugin";
  plugin.options = {required(option("command", OptionType::list), "[/bin/true]"), option("env", OptionType::map)};
  ModuleInfo heartbeat;
  heartbeat.type = "heartbeat";
  heartbeat.options = {secret(option("token", OptionType::string))};
  ModuleInfo broken;
  broken.type = "badly_made";
  broken.options = {option("count", OptionType::integer, "many")};
  ModuleInfo composite;
  composite.type = "composite";
  composite.options = {required(option("rule", OptionType::string)), option("warn_rule", OptionType::string)};
  std::vector<ModuleInfo> all{http, tcp, db, disk, plugin, heartbeat, composite, broken};
  for (ModuleInfo& m : all) m.path = "/checks/" + m.type + ".so";
  return all;
}

// The kind of action that every test knows.
inline ModuleInfo fake_action() {
  ModuleInfo hook;
  hook.type = "hook";
  hook.path = "/actions/hook.so";
  hook.options = {required(option("command", OptionType::list), "[/bin/true]"),
                  secret(option("password", OptionType::string)), option("step.verb", OptionType::string, "check")};
  return hook;
}

class FakeModules final : public ModuleSource {
 public:
  struct Memory {
    std::vector<std::string> module_path;
    std::vector<std::string> validated;   // names of checks
    std::vector<std::string> complaints;  // about the directories, to be told
  };
  explicit FakeModules(std::shared_ptr<Memory> memory) : memory_(std::move(memory)) {}

  std::shared_ptr<const ModuleInfo> describe(std::string_view type, std::string* why) override {
    for (const ModuleInfo& m : all_) {
      if (m.type == type) return std::make_shared<const ModuleInfo>(m);
    }
    *why = "there is no check type '" + std::string(type) + "'; vitald modules lists them";
    return nullptr;
  }

  std::shared_ptr<const ModuleInfo> describe_action(std::string_view type, std::string* why) override {
    const ModuleInfo hook = fake_action();
    if (type == hook.type) return std::make_shared<const ModuleInfo>(hook);
    *why = "there is no kind of action '" + std::string(type) + "'; known here: hook";
    return nullptr;
  }

  std::vector<SpecProblem> validate(std::span<const std::shared_ptr<const CheckSpec>> specs) override {
    std::vector<SpecProblem> out;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      memory_->validated.push_back(specs[i]->check);
      for (const auto& [name, items] : specs[i]->values) {
        if (name == "expect.body.matches" && items.front() == "(")
          out.push_back({i, name, "is no regular expression: a parenthesis is not closed"});
        if (name == "password" && items.front() == "refuse-me") out.push_back({i, name, "is too simple"});
      }
    }
    return out;
  }

  std::vector<std::string> problems() const override { return memory_->complaints; }

 private:
  std::shared_ptr<Memory> memory_;
  std::vector<ModuleInfo> all_ = fake_modules();
};

}  // namespace vital::config
