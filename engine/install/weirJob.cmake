# weir_add_job(TARGET SOURCE...): builds TARGET.so, a job for `weir run`, from C or C++ sources. It
# links nothing of weir's: the program that loads it has the weir_ functions.
# SPDX-License-Identifier: Apache-2.0
function(weir_add_job target)
    add_library(${target} MODULE ${ARGN})
    target_link_libraries(${target} PRIVATE weir::headers)
    set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so")
endfunction()
