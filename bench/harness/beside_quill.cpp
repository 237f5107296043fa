// The C++ side of beside_quill.py: logs LINES lines to FILE through quill, then prints the seconds that took.
//
//     beside_quill FILE LINES [CALLER_CPU BACKEND_CPU]
//
// The backend spins instead of sleeping and waits a microsecond for records of other threads, which is how quill's
// authors measure it; all other options are the defaults.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "quill/Backend.h"
#include "quill/Frontend.h"
#include "quill/LogMacros.h"
#include "quill/sinks/FileSink.h"

#if defined(__linux__)
  #include <sched.h>

static void pin_caller(int cpu)
{
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
  {
    std::perror("sched_setaffinity");
    std::exit(1);
  }
}
#else
static void pin_caller(int) {}
#endif

int main(int argc, char** argv)
{
  if (argc != 3 && argc != 5)
  {
    std::fprintf(stderr, "usage: %s FILE LINES [CALLER_CPU BACKEND_CPU]\n", argv[0]);
    return 2;
  }
  std::uint64_t const lines = std::strtoull(argv[2], nullptr, 10);

  quill::BackendOptions backend;
  backend.sleep_duration = std::chrono::nanoseconds{0};
  backend.log_timestamp_ordering_grace_period = std::chrono::microseconds{1};
  if (argc == 5)
  {
    pin_caller(std::atoi(argv[3]));
    backend.cpu_affinity = {static_cast<std::uint16_t>(std::atoi(argv[4]))};
  }
  quill::Backend::start(backend);

  quill::FileSinkConfig file;
  file.set_open_mode('w');
  auto sink = quill::Frontend::create_or_get_sink<quill::FileSink>(argv[1], file, quill::FileEventNotifier{});
  quill::PatternFormatterOptions const layout{
    "%(time) [%(thread_id)] %(short_source_location) %(log_level) %(message)", "%H:%M:%S.%Qns",
    quill::Timezone::LocalTime, false};
  quill::Logger* logger = quill::Frontend::create_or_get_logger("beside", std::move(sink), layout);

  // The thread's queue is made by its first record.
  LOG_INFO(logger, "Iteration: ready");
  logger->flush_log(0);

  auto const begun = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < lines; ++i)
  {
    LOG_INFO(logger, "Iteration: {} int: {} double: {}", i, i * 2, static_cast<double>(i) / 2);
  }
  logger->flush_log(0);
  std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begun;
  std::printf("%.9f\n", took.count());
}
