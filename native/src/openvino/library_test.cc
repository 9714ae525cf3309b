// Opening the library and asking for its devices; see engine_test.cc.
#include "probe.h"
#include "testing/runner.h"

#include <gtest/gtest.h>

namespace onnx_engine::openvino {
namespace {

TEST(Library, NamesAFileThatIsNotALibrary) {
  EXPECT_NE(failure([] { Library::open("/nowhere/libopenvino_c.so"); }).find("/nowhere/libopenvino_c.so"),
            std::string::npos);
  EXPECT_NE(failure([] { Library::open(__FILE__); }), "");
}

TEST(Library, ListsTheCpuWithTheRequirementsOfItsBlobs) {
  const auto devices = probe(library());
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices[0].name, "CPU");
  EXPECT_NE(devices[0].capabilities.find("EXPORT_IMPORT"), std::string::npos);
  EXPECT_NE(devices[0].runtimeRequirements.find("ov="), std::string::npos);
}

}  // namespace
}  // namespace onnx_engine::openvino
