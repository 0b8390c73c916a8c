// What is said of processes that do not end.
#include "leftovers.hpp"

#include <catch2/catch.hpp>

using vital::check::Leftovers;

TEST_CASE("what cannot be killed is called unkillable, with one of them and why") {
  Leftovers left;
  CHECK(left.complaint().empty());
  left.example = 4711;
  left.waiting = 1;
  CHECK(left.complaint() == "unkillable: process 4711 stayed in the kernel (state D)");
  left.waiting = 0;
  left.refused = 1;
  CHECK(left.complaint() == "unkillable: process 4711 stayed since the kernel does not let us kill it (EPERM)");
  left.waiting = 2;
  CHECK(left.complaint() ==
        "unkillable: 3 processes (one is 4711) stayed in the kernel (state D), or since we may not kill them (EPERM)");
}
