set(TENSORRT_HEADERS "" CACHE PATH "Folder with one folder of headers per ABI family; `npm run build:native` fills it in")
set(CUDA_HEADERS "" CACHE PATH "Folder that holds cuda.h and nvml.h; `npm run build:native` fills it in")

# Without headers the other addons are built all the same.
if(NOT TENSORRT_HEADERS)
  return()
endif()

# What knows nothing of a family: the driver, and the engine's queue, which sees the GPU through gpu.h only.
add_library(tensorrt_gpu STATIC
  ${CMAKE_CURRENT_LIST_DIR}/cuda.cc
  ${CMAKE_CURRENT_LIST_DIR}/driver.cc
  ${CMAKE_CURRENT_LIST_DIR}/engine.cc
  ${CMAKE_CURRENT_LIST_DIR}/probe.cc
  ${CMAKE_CURRENT_LIST_DIR}/slot.cc
  ${CMAKE_CURRENT_LIST_DIR}/staging.cc
  ${CMAKE_CURRENT_LIST_DIR}/tensor.cc)
target_include_directories(tensorrt_gpu SYSTEM PUBLIC ${CUDA_HEADERS})
target_link_libraries(tensorrt_gpu PUBLIC shared_library)

# add_tensorrt(<name> <folder of headers> <definitions>...): the addon of one ABI family, from the same sources as the others.
function(add_tensorrt name headers)
  add_addon(${name}
    $<TARGET_OBJECTS:tensorrt_addon>
    $<TARGET_OBJECTS:tensorrt_build_task>
    $<TARGET_OBJECTS:tensorrt_engine_object>
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/builder.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/execution.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/library.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/logger.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plan.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/profiles.cc)
  target_compile_definitions(${name} PRIVATE TENSORRT_FAMILY="${name}" ${ARGN})
  # The folder above holds the declarations of CUDA's types that TensorRT's headers include.
  target_include_directories(${name} SYSTEM PRIVATE ${TENSORRT_HEADERS}/${headers} ${TENSORRT_HEADERS})
  target_link_libraries(${name} PRIVATE tensorrt_gpu)
endfunction()

if(BUILD_ADDONS)
  # The JavaScript boundary includes no header of TensorRT, so that it is compiled once for all families.
  foreach(part addon build_task engine_object)
    add_library(tensorrt_${part} OBJECT ${CMAKE_CURRENT_LIST_DIR}/${part}.cc)
    target_compile_definitions(tensorrt_${part} PRIVATE NAPI_VERSION=8 BUILDING_NODE_EXTENSION)
    target_include_directories(tensorrt_${part} SYSTEM PRIVATE ${CMAKE_JS_INC})
    target_link_libraries(tensorrt_${part} PRIVATE tensorrt_gpu)
  endforeach()
  add_tensorrt(tensorrt_rtx_1_7 TRT-RTX-1.7 TENSORRT_RTX)
  add_tensorrt(tensorrt_rtx_1_6 TRT-RTX-1.6 TENSORRT_RTX)
  add_tensorrt(tensorrt_rtx_1_5 TRT-RTX-1.5 TENSORRT_RTX)
  add_tensorrt(tensorrt_11 TRT-Enterprise-11.4)

  # The JavaScript side of an engine on the double of the GPU, for tests in Node. It lies apart from the addons, so that it is never packed.
  find_package(GTest QUIET)
  if(GTest_FOUND)
    add_addon(tensorrt_double
      $<TARGET_OBJECTS:tensorrt_engine_object>
      ${CMAKE_CURRENT_LIST_DIR}/double_addon.cc
      ${CMAKE_CURRENT_LIST_DIR}/host_device.cc
      ${CMAKE_CURRENT_LIST_DIR}/host_double.cc)
    target_link_libraries(tensorrt_double PRIVATE tensorrt_gpu GTest::gtest)
    set_target_properties(tensorrt_double PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/double)
  endif()
endif()

if(BUILD_NATIVE_TESTS)
  add_executable(tensorrt_test
    ${CMAKE_CURRENT_LIST_DIR}/fault_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/host_device.cc
    ${CMAKE_CURRENT_LIST_DIR}/host_double.cc
    ${CMAKE_CURRENT_LIST_DIR}/queue_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/slot_test.cc)
  target_link_libraries(tensorrt_test PRIVATE tensorrt_gpu GTest::gtest_main)
  add_test(NAME tensorrt COMMAND tensorrt_test)

  # Its own double of the library stands in for ../library.cc.
  add_executable(tensorrt_plan_test
    ${CMAKE_CURRENT_LIST_DIR}/execution.cc
    ${CMAKE_CURRENT_LIST_DIR}/library.cc
    ${CMAKE_CURRENT_LIST_DIR}/logger.cc
    ${CMAKE_CURRENT_LIST_DIR}/plan.cc
    ${CMAKE_CURRENT_LIST_DIR}/plan_test.cc)
  target_compile_definitions(tensorrt_plan_test PRIVATE TENSORRT_FAMILY="tensorrt_plan_test")
  target_include_directories(tensorrt_plan_test SYSTEM PRIVATE ${TENSORRT_HEADERS}/TRT-Enterprise-11.4 ${TENSORRT_HEADERS})
  target_link_libraries(tensorrt_plan_test PRIVATE strict GTest::gtest_main)
  add_test(NAME tensorrt_plan COMMAND tensorrt_plan_test)
endif()

# What `npm run test:gpu` runs. Compiled with the other tests, so that it is known to compile where no GPU can run it.
add_executable(tensorrt_loop ${CMAKE_CURRENT_LIST_DIR}/loop.cc ${CMAKE_CURRENT_LIST_DIR}/library.cc ${CMAKE_CURRENT_LIST_DIR}/logger.cc)
target_compile_definitions(tensorrt_loop PRIVATE TENSORRT_FAMILY="tensorrt_loop" TENSORRT_RTX)
target_include_directories(tensorrt_loop SYSTEM PRIVATE ${TENSORRT_HEADERS}/TRT-RTX-1.7 ${TENSORRT_HEADERS})
target_link_libraries(tensorrt_loop PRIVATE tensorrt_gpu)
if(BUILD_NATIVE_TESTS)
  add_executable(tensorrt_cuda_test ${CMAKE_CURRENT_LIST_DIR}/cuda_test.cc)
  target_link_libraries(tensorrt_cuda_test PRIVATE tensorrt_gpu GTest::gtest_main)
else()
  set_target_properties(tensorrt_loop PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
