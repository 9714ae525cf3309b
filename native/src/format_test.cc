#include "format.h"

#include <gtest/gtest.h>

namespace onnx_engine {
namespace {

TEST(Format, PutsValuesInOrderAndReadsNoBracesInThem) {
  EXPECT_EQ(format("no values"), "no values");
  EXPECT_EQ(format("{} has {} of '{}'", std::string("x{}"), 3, "y"), "x{} has 3 of 'y'");
  EXPECT_EQ(format("{} left"), "{} left");
}

TEST(Format, RefusesMoreValuesThanThePatternTakes) { EXPECT_THROW(format("one {}", 1, 2), std::out_of_range); }

}  // namespace
}  // namespace onnx_engine
