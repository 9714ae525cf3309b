# Folders with one folder of headers per ABI family; `npm run build:native` fills them in.
set(TENSORRT_RTX_HEADERS "" CACHE PATH "Folder that holds TRT-RTX-1.5, -1.6 and -1.7")
set(TENSORRT_10_HEADERS "" CACHE PATH "Folder that holds TRT-Enterprise-10.16")
set(TENSORRT_11_HEADERS "" CACHE PATH "Folder that holds TRT-Enterprise-11.0")
set(CUDA_HEADERS "" CACHE PATH "Folder that holds cuda.h and nvml.h; `npm run build:native` fills it in")

# Without headers the other addons are still built.
if(NOT TENSORRT_RTX_HEADERS)
  return()
endif()

# Independent of the ABI family: the driver, and the engine's queue, which uses the GPU through gpu.h only.
add_library(tensorrt_gpu STATIC
  ${CMAKE_CURRENT_LIST_DIR}/cuda_device.cc
  ${CMAKE_CURRENT_LIST_DIR}/driver.cc
  ${CMAKE_CURRENT_LIST_DIR}/engine.cc
  ${CMAKE_CURRENT_LIST_DIR}/inference_slot.cc
  ${CMAKE_CURRENT_LIST_DIR}/probe.cc
  ${CMAKE_CURRENT_LIST_DIR}/staging.cc
  ${CMAKE_CURRENT_LIST_DIR}/tensor.cc
  ${CMAKE_CURRENT_LIST_DIR}/version.cc)
target_include_directories(tensorrt_gpu SYSTEM PUBLIC ${CUDA_HEADERS})
target_link_libraries(tensorrt_gpu PUBLIC shared_library)

# use_tensorrt(<target> <family> <folder of headers>): compiles a target against the headers of one ABI family.
function(use_tensorrt target family headers)
  target_compile_definitions(${target} PRIVATE TENSORRT_FAMILY="${family}")
  # The folder above holds the declarations of CUDA's types that TensorRT's headers include.
  target_include_directories(${target} SYSTEM PRIVATE ${headers} ${headers}/..)
endfunction()

# The functions of older releases are deprecated in newer headers.
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/compat_10.cc PROPERTIES
  COMPILE_OPTIONS $<IF:$<BOOL:${MSVC}>,/wd4996,-Wno-deprecated-declarations>)

# add_tensorrt(<name> <flavour> <compat> <folder of headers>): the addon of one ABI family. All families have the same
# sources but two: flavour_<flavour>.cc holds the differences between TensorRT ("enterprise") and TensorRT-RTX ("rtx"),
# compat_<compat>.cc the calls that older releases of the family lack. TensorRT 10 is compiled against its newest headers
# and guards such calls; TensorRT 11 is compiled against its oldest.
function(add_tensorrt name flavour compat headers)
  add_addon(${name}
    $<TARGET_OBJECTS:tensorrt_addon>
    $<TARGET_OBJECTS:tensorrt_build_task>
    $<TARGET_OBJECTS:tensorrt_engine_object>
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/builder.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/compat_${compat}.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/execution.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/flavour_${flavour}.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/library.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/logger.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plan.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/profiles.cc)
  use_tensorrt(${name} ${name} ${headers})
  target_link_libraries(${name} PRIVATE tensorrt_gpu)
endfunction()

if(BUILD_ADDONS)
  # The JavaScript boundary includes no header of TensorRT, so it is compiled once for all families.
  foreach(part addon build_task engine_object)
    add_library(tensorrt_${part} OBJECT ${CMAKE_CURRENT_LIST_DIR}/${part}.cc)
    target_compile_definitions(tensorrt_${part} PRIVATE NAPI_VERSION=8 BUILDING_NODE_EXTENSION)
    target_include_directories(tensorrt_${part} SYSTEM PRIVATE ${CMAKE_JS_INC})
    target_link_libraries(tensorrt_${part} PRIVATE tensorrt_gpu)
  endforeach()
  foreach(minor 7 6 5)
    add_tensorrt(tensorrt_rtx_1_${minor} rtx 11 ${TENSORRT_RTX_HEADERS}/TRT-RTX-1.${minor})
  endforeach()
  add_tensorrt(tensorrt_11 enterprise 11 ${TENSORRT_11_HEADERS}/TRT-Enterprise-11.0)
  add_tensorrt(tensorrt_10 enterprise 10 ${TENSORRT_10_HEADERS}/TRT-Enterprise-10.16)

  # The JavaScript side of an engine on the double of the GPU, for tests in Node. It is in a folder of its own, so it is
  # never packed.
  find_package(GTest QUIET)
  if(GTest_FOUND)
    add_addon(tensorrt_double
      $<TARGET_OBJECTS:tensorrt_engine_object>
      ${CMAKE_CURRENT_LIST_DIR}/testing/double_addon.cc
      ${CMAKE_CURRENT_LIST_DIR}/testing/host_device.cc
      ${CMAKE_CURRENT_LIST_DIR}/testing/host_double.cc)
    target_link_libraries(tensorrt_double PRIVATE tensorrt_gpu GTest::gtest)
    set_target_properties(tensorrt_double PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/double)
  endif()
endif()

if(BUILD_NATIVE_TESTS)
  add_executable(tensorrt_test
    ${CMAKE_CURRENT_LIST_DIR}/fault_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/inference_slot_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/queue_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/testing/host_device.cc
    ${CMAKE_CURRENT_LIST_DIR}/testing/host_double.cc)
  target_link_libraries(tensorrt_test PRIVATE tensorrt_gpu GTest::gtest_main)
  add_test(NAME tensorrt COMMAND tensorrt_test)

  # It has a double of the library instead of ../library.cc.
  add_executable(tensorrt_plan_test
    ${CMAKE_CURRENT_LIST_DIR}/compat_11.cc
    ${CMAKE_CURRENT_LIST_DIR}/driver.cc
    ${CMAKE_CURRENT_LIST_DIR}/execution.cc
    ${CMAKE_CURRENT_LIST_DIR}/flavour_enterprise.cc
    ${CMAKE_CURRENT_LIST_DIR}/library.cc
    ${CMAKE_CURRENT_LIST_DIR}/logger.cc
    ${CMAKE_CURRENT_LIST_DIR}/plan.cc
    ${CMAKE_CURRENT_LIST_DIR}/plan_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/version.cc)
  use_tensorrt(tensorrt_plan_test tensorrt_plan_test ${TENSORRT_11_HEADERS}/TRT-Enterprise-11.0)
  target_include_directories(tensorrt_plan_test SYSTEM PRIVATE ${CUDA_HEADERS})
  target_link_libraries(tensorrt_plan_test PRIVATE strict GTest::gtest_main)
  add_test(NAME tensorrt_plan COMMAND tensorrt_plan_test)

  add_executable(tensorrt_compat_test
    ${CMAKE_CURRENT_LIST_DIR}/compat_10.cc
    ${CMAKE_CURRENT_LIST_DIR}/compat_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/logger.cc
    ${CMAKE_CURRENT_LIST_DIR}/version.cc)
  use_tensorrt(tensorrt_compat_test tensorrt_compat_test ${TENSORRT_10_HEADERS}/TRT-Enterprise-10.16)
  target_link_libraries(tensorrt_compat_test PRIVATE strict GTest::gtest_main)
  add_test(NAME tensorrt_compat COMMAND tensorrt_compat_test)
endif()

# The programs of `npm run test:gpu`. They are compiled with the other tests, so that they keep compiling on machines
# without a GPU.
function(add_plain_loop name flavour headers)
  add_executable(${name}
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/flavour_${flavour}.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/library.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/logger.cc
    ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/testing/plain_loop.cc)
  use_tensorrt(${name} ${name} ${headers})
  target_link_libraries(${name} PRIVATE tensorrt_gpu)
  if(NOT BUILD_NATIVE_TESTS)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endfunction()
add_plain_loop(tensorrt_rtx_plain_loop rtx ${TENSORRT_RTX_HEADERS}/TRT-RTX-1.7)
add_plain_loop(tensorrt_11_plain_loop enterprise ${TENSORRT_11_HEADERS}/TRT-Enterprise-11.0)
add_plain_loop(tensorrt_10_plain_loop enterprise ${TENSORRT_10_HEADERS}/TRT-Enterprise-10.16)
if(BUILD_NATIVE_TESTS)
  add_executable(tensorrt_cuda_test ${CMAKE_CURRENT_LIST_DIR}/cuda_device_test.cc)
  target_link_libraries(tensorrt_cuda_test PRIVATE tensorrt_gpu GTest::gtest_main)
endif()
