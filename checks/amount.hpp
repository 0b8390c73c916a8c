// Amounts and their thresholds, for the checks of this host: "at least 5%" or "at least 2GiB" of something must be
// left. Pure. [any]
#pragma once

#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vitald/check.hpp>

namespace vital::check {

// "41.2 GiB".
inline std::string bytes_in_words(double bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit > 0 && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
  return text;
}

// "4.2%".
inline std::string percent_in_words(double part, double whole) {
  const double percent = whole > 0 ? part * 100 / whole : 0;
  char text[16];
  std::snprintf(text, sizeof text, percent < 10 ? "%.1f%%" : "%.0f%%", percent);
  return text;
}

// How much must be left: a number, or a share of the whole.
struct Floor {
  double number = 0;
  bool is_percent = false;
  std::string written;

  double of(double whole) const { return is_percent ? whole * number / 100 : number; }
};

// A size as one would write it: "64KiB", "100MB", "12345".
inline std::string size_as_written(double bytes) {
  struct Unit {
    double bytes;
    const char* name;
  };
  static constexpr Unit units[] = {{1099511627776.0, "TiB"}, {1e12, "TB"}, {1073741824.0, "GiB"}, {1e9, "GB"},
                                   {1048576.0, "MiB"},       {1e6, "MB"},  {1024.0, "KiB"},       {1e3, "KB"}};
  char text[32];
  for (const Unit& unit : units) {
    const double count = bytes / unit.bytes;
    if (count < 1 || count != std::floor(count)) continue;
    std::snprintf(text, sizeof text, "%.0f%s", count, unit.name);
    return text;
  }
  std::snprintf(text, sizeof text, "%.0f", bytes);
  return text;
}

// An option of the type size_or_percent.
inline std::optional<Floor> floor_option(const Options& options, const char* name) {
  if (!options.has(name)) return {};
  Floor f;
  f.written = options.text(name);
  f.is_percent = !f.written.empty() && f.written.back() == '%';
  f.number = options.number(name);
  if (f.number < 0 || (f.is_percent && f.number > 100))
    throw Invalid(name, f.written + " is out of range; write 5%, or a size such as 2GiB");
  return f;
}

// Two floors of one thing: below the first it warns, below the second it fails.
struct Floors {
  std::optional<Floor> warn, fail;
  bool is_bytes = true;

  // `usual` is the default of warn_name, if it has one: nobody wrote it, so it gives way to a fail_name beyond it.
  static Floors options(const Options& o, const char* warn_name, const char* fail_name, bool is_bytes = true,
                        std::string_view usual = {}) {
    Floors f{floor_option(o, warn_name), floor_option(o, fail_name), is_bytes};
    const bool is_usual = f.warn && f.warn->written == usual;
    if (f.warn && f.fail && f.warn->is_percent == f.fail->is_percent && f.warn->number < f.fail->number) {
      if (!is_usual)
        throw Invalid(warn_name,
                      "is below " + std::string(fail_name) + ", so it could never warn; write a larger value");
      f.warn.reset();
    }
    return f;
  }

  // How much is left, against the floors. The words are empty where nothing is wrong.
  struct Finding {
    Verdict verdict = Verdict::pass;
    std::string words;
  };
  Finding judge(double left, double whole, const char* warn_name, const char* fail_name) const {
    if (fail && left < fail->of(whole)) return {Verdict::fail, std::string("below ") + fail_name + " " + show(*fail)};
    if (warn && left < warn->of(whole)) return {Verdict::warn, std::string("below ") + warn_name + " " + show(*warn)};
    return {};
  }

  double warn_at(double whole) const { return warn ? warn->of(whole) : no_threshold; }
  double fail_at(double whole) const { return fail ? fail->of(whole) : no_threshold; }

 private:
  std::string show(const Floor& f) const {
    if (f.is_percent) return f.written;
    return is_bytes ? size_as_written(f.number) : std::to_string(static_cast<long long>(f.number));
  }
};

}  // namespace vital::check
