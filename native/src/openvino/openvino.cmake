set(OPENVINO_HEADERS "" CACHE PATH "Folder that holds openvino/c/openvino.h; `npm run build:native` fills it in")

add_library(openvino_engine STATIC
  ${CMAKE_CURRENT_LIST_DIR}/library.cc
  ${CMAKE_CURRENT_LIST_DIR}/probe.cc
  ${CMAKE_CURRENT_LIST_DIR}/builder.cc
  ${CMAKE_CURRENT_LIST_DIR}/engine.cc)
target_include_directories(openvino_engine SYSTEM PUBLIC ${OPENVINO_HEADERS})
target_link_libraries(openvino_engine PUBLIC shared_library)

if(BUILD_ADDONS)
  add_addon(openvino ${CMAKE_CURRENT_LIST_DIR}/addon.cc ${CMAKE_CURRENT_LIST_DIR}/engine_object.cc)
  target_link_libraries(openvino PRIVATE openvino_engine)
endif()

if(BUILD_NATIVE_TESTS)
  add_executable(openvino_test
    ${CMAKE_CURRENT_LIST_DIR}/engine_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/library_test.cc
    ${CMAKE_CURRENT_LIST_DIR}/testing/runner.cc)
  target_link_libraries(openvino_test PRIVATE openvino_engine GTest::gtest_main)
  set_target_properties(openvino_test PROPERTIES ENABLE_EXPORTS ON)
  add_test(NAME openvino COMMAND openvino_test)
endif()

add_executable(openvino_plain_loop EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/testing/plain_loop.cc)
target_link_libraries(openvino_plain_loop PRIVATE openvino_engine)
