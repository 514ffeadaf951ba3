# What `cmake --install` copies, and the two files by which others find it: weir.pc for pkg-config,
# weirConfig.cmake for find_package(weir CONFIG). Neither names the prefix: the installed copy may
# be moved. docs/INSTALL.md is the user's side of this.
# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS weir RUNTIME)
install(FILES engine/weir.h engine/weir_test.h operators/weir_ops.h TYPE INCLUDE)
file(GLOB pages CONFIGURE_DEPENDS docs/man/*.1)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
file(GLOB pages CONFIGURE_DEPENDS docs/man/*.3)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)

# ---- CMake: weir::weir needs nothing but itself. weir::weir_static needs what the library links,
# by the names that weirConfig.cmake gives it, so it has an export of its own.

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
set_target_properties(weir_shared PROPERTIES EXPORT_NAME weir)
set_target_properties(weir_headers PROPERTIES EXPORT_NAME headers)
set_target_properties(weir_core PROPERTIES EXPORT_NAME weir_static)
target_include_directories(weir_headers INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(weir_core INTERFACE $<INSTALL_INTERFACE:weir::headers>
    $<INSTALL_INTERFACE:PkgConfig::weir_static> $<INSTALL_INTERFACE:Threads::Threads>
    $<INSTALL_INTERFACE:${CMAKE_DL_LIBS}> $<INSTALL_INTERFACE:m>)

install(TARGETS weir_shared weir_headers EXPORT weir LIBRARY)
install(TARGETS weir_core EXPORT weir_static ARCHIVE)
install(EXPORT weir NAMESPACE weir:: FILE weirTargets.cmake DESTINATION ${package_folder})
install(EXPORT weir_static NAMESPACE weir:: FILE weirStaticTargets.cmake
    DESTINATION ${package_folder})

string(REPLACE ";" " " WEIR_MODULES_TEXT "${WEIR_MODULES}")
configure_package_config_file(engine/install/weirConfig.cmake.in weirConfig.cmake
    INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(weirConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weirConfig.cmake ${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
    engine/install/weirJob.cmake DESTINATION ${package_folder})

# ---- pkg-config

# An absolute folder is one that whoever configured wants; others are found from the .pc file.
file(RELATIVE_PATH to_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" to_prefix "${to_prefix}")
set(WEIR_PC_PREFIX "\${pcfiledir}/${to_prefix}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(WEIR_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
endif()
foreach(kind LIBDIR INCLUDEDIR)
    set(WEIR_PC_${kind} "\${prefix}/${CMAKE_INSTALL_${kind}}")
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${kind}}")
        set(WEIR_PC_${kind} "${CMAKE_INSTALL_${kind}}")
    endif()
endforeach()
# librdkafka's own .pc names as private what it uses itself, which Debian's package does not bring
# along: with weir's static library the shared librdkafka is named, and looks for the rest itself.
set(WEIR_MODULES_PRIVATE ${WEIR_MODULES})
list(REMOVE_ITEM WEIR_MODULES_PRIVATE rdkafka)
string(REPLACE ";" " " WEIR_MODULES_PRIVATE "${WEIR_MODULES_PRIVATE}")
string(REPLACE ";" " " WEIR_RDKAFKA_LIBS "${rdkafka_LDFLAGS}")
foreach(name weir weir-static)
    configure_file(engine/install/${name}.pc.in ${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
