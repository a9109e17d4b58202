# What the crate wamrx-sys does not let Cargo features choose about WAMR's own CMake build. Named by the variable
# CMAKE_TOOLCHAIN_FILE; plain variables set here win over the -D options that the crate passes.

if(CMAKE_SOURCE_DIR MATCHES "/wasm-micro-runtime$")
  # The loader of ahead-of-time compiled modules, for wamr.aot.
  set(WAMR_BUILD_AOT 1)

  # The same engine in every Rust profile: an unoptimised WAMR has assertions that abort the process.
  set(CMAKE_BUILD_TYPE Release)

  # An instruction that old kernels refuse: whether it is used would depend on the machine that builds.
  set(WAMR_DISABLE_WRITE_GS_BASE 1)

  # SIMD in the interpreter is SIMDe, a header-only library that WAMR's build would clone from a repository. Instead it finds
  # simde/wasm/simd128.h beside this file, which includes the system's and corrects it.
  if(EXISTS /usr/include/simde/wasm/simd128.h)
    set(FETCHCONTENT_SOURCE_DIR_SIMDE ${CMAKE_CURRENT_LIST_DIR} CACHE PATH "" FORCE)
    # Portable code only: the SSE2 code of SIMDe 0.7.4 has i16x8.q15mulr_sat_s wrong, and 32-bit NEON flushes denormals.
    add_compile_definitions(SIMDE_NO_NATIVE)
    set(WAMR_BUILD_SIMD 1)
    set(WAMR_BUILD_LIB_SIMDE 1)
  else()
    set(WAMR_BUILD_SIMD 0)
    set(WAMR_BUILD_LIB_SIMDE 0)
  endif()

  # wamrx-sys says plain ARM for every 32-bit ARM, whose call stubs are soft-float.
  if("$ENV{TARGET}" MATCHES "^armv7.*hf$")
    set(WAMR_BUILD_TARGET ARMV7_VFP)
  endif()
endif()

# With a toolchain file the crate `cmake` leaves the cross compiler to it. TARGET and HOST are set by Cargo for build scripts.
if(DEFINED ENV{TARGET} AND DEFINED ENV{HOST} AND NOT "$ENV{TARGET}" STREQUAL "$ENV{HOST}")
  string(REPLACE "-" "_" TARGET_NAME "$ENV{TARGET}")
  if("$ENV{TARGET}" MATCHES "linux")
    set(CMAKE_SYSTEM_NAME Linux)
  endif()
  string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR "$ENV{TARGET}")
  if(DEFINED ENV{CC_${TARGET_NAME}})
    set(CMAKE_C_COMPILER $ENV{CC_${TARGET_NAME}})
  elseif("$ENV{TARGET}" STREQUAL "armv7-unknown-linux-gnueabihf")
    set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
  elseif("$ENV{TARGET}" STREQUAL "aarch64-unknown-linux-gnu")
    set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
  endif()
  if(DEFINED ENV{CXX_${TARGET_NAME}})
    set(CMAKE_CXX_COMPILER $ENV{CXX_${TARGET_NAME}})
  elseif("$ENV{TARGET}" STREQUAL "armv7-unknown-linux-gnueabihf")
    set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
  elseif("$ENV{TARGET}" STREQUAL "aarch64-unknown-linux-gnu")
    set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
  endif()
endif()
