// The calls that older releases of TensorRT 10 lack, on doubles of its objects. Runs without TensorRT or a GPU.
#include "compat.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

namespace onnx_engine::tensorrt::compat {
namespace {

using namespace nvinfer1;

class ProfileDouble : public IOptimizationProfile, private apiv::VOptimizationProfile {
 public:
  ProfileDouble() { mImpl = this; }

  std::vector<int32_t> narrow;
  std::vector<int64_t> wide;

 private:
  bool setShapeValues(const char*, OptProfileSelector, const int32_t* values, int32_t count) noexcept override {
    narrow.assign(values, values + count);
    return true;
  }
  bool setShapeValuesV2(const char*, OptProfileSelector, const int64_t* values, int32_t count) noexcept override {
    wide.assign(values, values + count);
    return true;
  }

  bool setDimensions(const char*, OptProfileSelector, const Dims&) noexcept override { return false; }
  Dims getDimensions(const char*, OptProfileSelector) const noexcept override { return {}; }
  int32_t getNbShapeValues(const char*) const noexcept override { return 0; }
  const int32_t* getShapeValues(const char*, OptProfileSelector) const noexcept override { return nullptr; }
  const int64_t* getShapeValuesV2(const char*, OptProfileSelector) const noexcept override { return nullptr; }
  bool setExtraMemoryTarget(float) noexcept override { return false; }
  float getExtraMemoryTarget() const noexcept override { return 0; }
  bool isValid() const noexcept override { return true; }
};

class HostMemoryDouble : public IHostMemory, private apiv::VHostMemory {
 public:
  HostMemoryDouble() { mImpl = this; }

 private:
  void* data() const noexcept override { return const_cast<char*>("engine"); }
  std::size_t size() const noexcept override { return 6; }
  DataType type() const noexcept override { return DataType::kINT8; }
};

class BuilderDouble : public IBuilder, private apiv::VBuilder {
 public:
  BuilderDouble() { mImpl = this; }

  NetworkDefinitionCreationFlags networkFlags = 0;

 private:
  INetworkDefinition* createNetworkV2(NetworkDefinitionCreationFlags flags) noexcept override {
    networkFlags = flags;
    return nullptr;
  }
  IHostMemory* buildSerializedNetwork(INetworkDefinition&, IBuilderConfig&) noexcept override {
    return new HostMemoryDouble();
  }
  bool buildSerializedNetworkToStream(INetworkDefinition&, IBuilderConfig&, IStreamWriter& writer) noexcept override {
    return writer.write("stream", 6) == 6;
  }

  IHostMemory* buildSerializedNetworkWithKernelText(INetworkDefinition&, IBuilderConfig&,
                                                    IHostMemory*&) noexcept override {
    return nullptr;
  }
  bool platformHasFastFp16() const noexcept override { return false; }
  bool platformHasFastInt8() const noexcept override { return false; }
  bool platformHasTf32() const noexcept override { return false; }
  int32_t getMaxDLABatchSize() const noexcept override { return 0; }
  int32_t getNbDLACores() const noexcept override { return 0; }
  void setGpuAllocator(IGpuAllocator*) noexcept override {}
  IBuilderConfig* createBuilderConfig() noexcept override { return nullptr; }
  IOptimizationProfile* createOptimizationProfile() noexcept override { return nullptr; }
  void setErrorRecorder(IErrorRecorder*) noexcept override {}
  IErrorRecorder* getErrorRecorder() const noexcept override { return nullptr; }
  void reset() noexcept override {}
  bool isNetworkSupported(const INetworkDefinition&, const IBuilderConfig&) const noexcept override { return true; }
  ILogger* getLogger() const noexcept override { return nullptr; }
  bool setMaxThreads(int32_t) noexcept override { return false; }
  int32_t getMaxThreads() const noexcept override { return 1; }
  IPluginRegistry& getPluginRegistry() noexcept override { std::abort(); }
  ICudaEngine* buildEngineWithConfig(INetworkDefinition&, IBuilderConfig&) noexcept override { return nullptr; }
};

class WriterDouble : public IStreamWriter {
 public:
  int64_t write(const void* data, int64_t bytes) override {
    written.append(static_cast<const char*>(data), static_cast<size_t>(bytes));
    return bytes;
  }

  std::string written;
};

class NetworkDouble : public INetworkDefinition {};
class ConfigDouble : public IBuilderConfig {};

// A build with a library of TensorRT 10.<minor>.
struct Fixture {
  explicit Fixture(int minor) : version{10, minor, 0, 0} {}

  Version version;
  Logger logger;
  BuilderDouble builder;
  NetworkDouble network;
  ConfigDouble config;
  Build build{builder, network, config, version, logger};
};

TEST(Compat, MakesStronglyTypedNetworks) {
  BuilderDouble builder;
  createNetwork(builder);
  EXPECT_EQ(builder.networkFlags, 2u);
}

TEST(Compat, WritesEnginesThroughAStreamFrom10_13On) {
  for (const auto& [minor, written] : {std::pair{0, "engine"}, {6, "engine"}, {12, "engine"}, {13, "stream"}}) {
    Fixture fixture(minor);
    WriterDouble writer;
    EXPECT_TRUE(buildToStream(fixture.build, writer));
    EXPECT_EQ(writer.written, written) << minor;
  }
}

TEST(Compat, SetsShapeValuesOf64BitsFrom10_11On) {
  const std::vector<int64_t> values{1, -5};
  for (const int minor : {0, 6, 10, 11, 16}) {
    Fixture fixture(minor);
    ProfileDouble profile;
    EXPECT_TRUE(setShapeValues(fixture.build, profile, {"shape", OptProfileSelector::kMIN, values}));
    EXPECT_EQ(profile.narrow.size(), minor < 11 ? 2u : 0u) << minor;
    EXPECT_EQ(profile.wide.size(), minor < 11 ? 0u : 2u) << minor;
  }
}

TEST(Compat, RefusesShapeValuesThatAnOlderReleaseCannotTake) {
  Fixture fixture(6);
  ProfileDouble profile;
  const std::vector<int64_t> values{int64_t{1} << 40};
  try {
    setShapeValues(fixture.build, profile, {"shape", OptProfileSelector::kMAX, values});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "input 'shape': TensorRT 10.6.0.0 takes values of 32 bits, received 1099511627776");
  }
}

}  // namespace
}  // namespace onnx_engine::tensorrt::compat
