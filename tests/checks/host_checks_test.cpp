// The kernel's files as the disk and memory checks read them, and thresholds.
#include <catch2/catch.hpp>

#include "amount.hpp"
#include "disk_mount.hpp"
#include "given.hpp"
#include "memory_state.hpp"

using namespace vital::check;

namespace {

constexpr const char* mounts =
    "27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "36 27 0:30 / /run rw,nosuid shared:5 master:1 propagate_from:2 - tmpfs tmpfs rw,size=1000k\n"
    "40 27 8:1 /usr /usr ro,relatime - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "41 27 8:2 / /data rw,relatime - ext4 /dev/sdb1 ro,errors=remount-ro\n"
    "4 27 8:3 / /broken\n";

Floors floors(const char* warn, const char* fail) {
  const auto floor = [](const char* text) -> std::optional<Floor> {
    if (text == nullptr) return {};
    const std::string written(text);
    return Floor{std::strtod(text, nullptr), written.back() == '%', written};
  };
  return Floors{floor(warn), floor(fail)};
}

}  // namespace

TEST_CASE("a mount is found by its id, whatever tags its line carries") {
  CHECK(find_mount(mounts, 36)->type == "tmpfs");
  CHECK(find_mount(mounts, 36)->point == "/run");
  CHECK_FALSE(find_mount(mounts, 99));
  CHECK_FALSE(find_mount(mounts, 4));
  CHECK_FALSE(find_mount("", 1));
}

TEST_CASE("a mount is found by its path, the upper one of two, and its escapes are read") {
  const std::string table =
      "90 20 0:50 / /srv/a\\040b rw - nfs4 nfs1:/x\\134y rw\n"
      "91 20 0:51 / /srv/app rw - nfs4 nfs1:/lower rw\n"
      "92 91 0:52 / /srv/app rw shared:1 - tmpfs upper ro\n";
  CHECK(find_mount_at(table, "/srv/a b")->source == "nfs1:/x\\y");
  CHECK(find_mount_at(table, "/srv/app")->source == "upper");
  CHECK(find_mount_at(table, "/srv/app")->is_filesystem_read_only);
  CHECK_FALSE(find_mount_at(table, "/srv"));
  CHECK_FALSE(find_mount_at("half a line\n", "/srv"));
  CHECK(without_escapes("a\\04") == "a\\04");
}

TEST_CASE("a filesystem that turned read-only is told from a mount that is so for us alone") {
  CHECK_FALSE(find_mount(mounts, 27)->is_filesystem_read_only);  // errors=remount-ro is no "ro"
  CHECK(find_mount(mounts, 40)->is_read_only);                   // a sandbox
  CHECK_FALSE(find_mount(mounts, 40)->is_filesystem_read_only);
  CHECK(find_mount(mounts, 41)->is_filesystem_read_only);
}

TEST_CASE("meminfo's lines are found by their whole name") {
  const std::string meminfo =
      "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    500 kB\nSwapTotal:       0 kB\n";
  CHECK(meminfo_bytes(meminfo, "MemAvailable") == 500.0 * 1024);
  CHECK(meminfo_bytes(meminfo, "SwapTotal") == 0.0);
  CHECK_FALSE(meminfo_bytes(meminfo, "Mem"));
  CHECK_FALSE(meminfo_bytes("", "MemTotal"));
}

TEST_CASE("a control group's cache counts as available, and no limit is no group") {
  const auto group = group_memory({"1000000\n", "900000\n", "anon 300000\ninactive_file 400000\nactive_file 100000\n"});
  REQUIRE(group);
  CHECK(group->limit == 1000000);
  CHECK(group->available == 600000);
  CHECK_FALSE(group_memory({"max\n", "900000\n", ""}));
  CHECK_FALSE(group_memory({"", "", ""}));
  CHECK(group_memory({"1000\n", "5000\n", ""})->available == 0);
}

TEST_CASE("less than a floor warns or fails, and says by which option") {
  const Floors f = floors("10%", "2%");
  CHECK(f.judge(50, 100, "warn_free", "fail_free").verdict == Verdict::pass);
  CHECK(f.judge(10, 100, "warn_free", "fail_free").verdict == Verdict::pass);
  CHECK(f.judge(9, 100, "warn_free", "fail_free").verdict == Verdict::warn);
  CHECK(f.judge(1, 100, "warn_free", "fail_free").verdict == Verdict::fail);
  CHECK(f.judge(1, 100, "warn_free", "fail_free").words == "below fail_free 2%");
  CHECK(floors(nullptr, "1024").judge(1000, 1e6, "w", "f").words == "below f 1KiB");
  CHECK(floors(nullptr, nullptr).judge(0, 100, "w", "f").verdict == Verdict::pass);
  Floors counted = floors(nullptr, "20000");
  counted.is_bytes = false;
  CHECK(counted.judge(1, 1e6, "w", "f").words == "below f 20000");
}

TEST_CASE("a floor that warns gives way to one that fails where it is only a default") {
  const vital::Given written({{"w", {"10%"}}, {"f", {"99%"}}});
  CHECK_THROWS_AS(Floors::options(written.options(), "w", "f"), Invalid);
  const Floors f = Floors::options(written.options(), "w", "f", true, "10%");
  CHECK_FALSE(f.warn);
  CHECK(f.judge(50, 100, "w", "f").verdict == Verdict::fail);
  CHECK_THROWS_AS(Floors::options(written.options(), "w", "f", true, "20%"), Invalid);
}

TEST_CASE("a size is written as one would write it") {
  CHECK(size_as_written(0) == "0");
  CHECK(size_as_written(1000) == "1KB");
  CHECK(size_as_written(1024) == "1KiB");
  CHECK(size_as_written(65536) == "64KiB");
  CHECK(size_as_written(500e6) == "500MB");
  CHECK(size_as_written(12345) == "12345");
}

TEST_CASE("bytes and percents read well") {
  CHECK(bytes_in_words(0) == "0 B");
  CHECK(bytes_in_words(1023) == "1023 B");
  CHECK(bytes_in_words(1536) == "1.5 KiB");
  CHECK(bytes_in_words(100.0 * 1024 * 1024 * 1024) == "100 GiB");
  CHECK(percent_in_words(1, 3) == "33%");
  CHECK(percent_in_words(1, 100) == "1.0%");
  CHECK(percent_in_words(1, 0) == "0.0%");
}
