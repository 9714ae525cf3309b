set(ONNXRUNTIME_HEADERS "" CACHE PATH "Folder that holds onnxruntime_c_api.h; `npm run build:native` fills it in")

# Without headers the other addons are built all the same.
if(NOT ONNXRUNTIME_HEADERS)
  return()
endif()

add_library(onnxruntime_engine STATIC
  ${CMAKE_CURRENT_LIST_DIR}/engine.cc
  ${CMAKE_CURRENT_LIST_DIR}/library.cc
  ${CMAKE_CURRENT_LIST_DIR}/session.cc
  ${CMAKE_CURRENT_LIST_DIR}/tensor.cc)
target_include_directories(onnxruntime_engine SYSTEM PUBLIC ${ONNXRUNTIME_HEADERS})
target_link_libraries(onnxruntime_engine PUBLIC shared_library)

if(BUILD_ADDONS)
  add_addon(onnxruntime ${CMAKE_CURRENT_LIST_DIR}/addon.cc ${CMAKE_CURRENT_LIST_DIR}/engine_object.cc)
  target_link_libraries(onnxruntime PRIVATE onnxruntime_engine)
endif()

if(BUILD_NATIVE_TESTS)
  add_executable(onnxruntime_test
    ${CMAKE_CURRENT_LIST_DIR}/testing/models.cc
    ${CMAKE_CURRENT_LIST_DIR}/engine_test.cc)
  target_link_libraries(onnxruntime_test PRIVATE onnxruntime_engine GTest::gtest_main)
  add_test(NAME onnxruntime COMMAND onnxruntime_test)
endif()
