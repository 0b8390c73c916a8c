// Fuzz target: bytes as a hostile worker (or agent) might send them, through the frame reader and both decoders. What
// is accepted must encode to a frame that decodes again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "modules/wire.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vital;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);

  const auto again = [](const auto& message, auto decode) {
    std::string out;
    if (wire::append(out, message) && !decode(std::string_view(out).substr(4))) std::abort();
  };
  if (const auto message = wire::decode_to_agent(bytes)) again(*message, wire::decode_to_agent);
  if (const auto message = wire::decode_to_worker(bytes)) again(*message, wire::decode_to_worker);

  // The same bytes as a stream, in two pieces.
  wire::FrameReader reader;
  for (const auto piece : {bytes.substr(0, size / 2), bytes.substr(size / 2)}) {
    reader.add(piece);
    while (const auto payload = reader.next()) wire::decode_to_agent(*payload);
  }
  return 0;
}
