// Comparing a document with the file that says what it should be. VITALD_WRITE_GOLDEN=1 writes the files anew: look at
// the difference before it is committed.
#pragma once

#include <string>

// The file's content; with VITALD_WRITE_GOLDEN set, the file is written first.
std::string golden(const std::string& name, const std::string& now);
