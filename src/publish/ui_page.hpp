// The page for people at /ui/: one HTML page, its scripts and its style, compiled in from ui/. It reads the API like
// any other client, and asks nobody else for anything. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace vital {

struct UiFile {
  std::string_view content_type;
  std::string_view body;
  std::string_view headers;  // no foreign script, style, image or frame, whatever a server under watch writes
};

// `path` as requested: "/ui/", "/ui/app.js".
std::optional<UiFile> ui_file(std::string_view path);

}  // namespace vital
