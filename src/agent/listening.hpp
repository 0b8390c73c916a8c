// What the front is to listen on, from a config: the seam between what config/ read and what publish/ serves. Both
// functions read certificate files and may wait for them: at the start, or on a thread of their own.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "loop/inherited.hpp"
#include "publish/front.hpp"

namespace vital {

// With its TLS contexts made. Throws FrontError, one line that names the file, if one cannot be.
FrontOptions front_options(const Config& config, const std::vector<InheritedSocket>& inherited);

// For LoadOptions::inspect_tls: what is wrong with these files, before anybody tries to serve with them.
std::vector<TlsRemark> inspect_tls(const TlsFiles& files);

// The certificate files the config names, each once.
std::vector<std::string> tls_files_of(const Config& config);

}  // namespace vital
