// See golden.hpp. PUBLISH_DATA is tests/data/publish.
#include "tests/publish/golden.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

std::string golden(const std::string& name, const std::string& now) {
  const std::string path = std::string(PUBLISH_DATA) + "/" + name;
  if (std::getenv("VITALD_WRITE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << now;
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}
