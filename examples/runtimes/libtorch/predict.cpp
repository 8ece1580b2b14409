// TorchScript in C++. Run by:
//   linexport verify BUNDLE/model.pt --reference BUNDLE \
//       --external 'build/libtorch/predict {model} {input} {output}'
#include <torch/script.h>
#include <torch/version.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

namespace {

// A table of float32 or float64 in an .npy file of version 1, see
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
at::Tensor read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  TORCH_CHECK(bytes.size() >= 10 && bytes[6] == 1, path, " is no .npy file of version 1");
  const size_t length = uint8_t(bytes[8]) + 256 * uint8_t(bytes[9]);
  const std::string header = bytes.substr(10, length);
  TORCH_CHECK(header.find("'fortran_order': False") != std::string::npos, header);
  const auto dtype = header.find("'<f4'") != std::string::npos ? at::kFloat : at::kDouble;
  const char* place = header.c_str() + header.find("'shape': (") + 10;
  char* end = nullptr;
  const int64_t rows = std::strtoll(place, &end, 10);
  const int64_t columns = std::strtoll(end + 1, nullptr, 10);
  auto values = const_cast<char*>(bytes.data()) + 10 + length;
  return at::from_blob(values, {rows, columns}, dtype).clone();
}

void write(const std::string& path, const at::Tensor& prediction) {
  const auto rows = prediction.contiguous();
  std::string header = std::string("{'descr': '") + (rows.dtype() == at::kFloat ? "<f4" : "<f8") +
                       "', 'fortran_order': False, 'shape': (" + std::to_string(rows.size(0)) + ", " +
                       std::to_string(rows.size(1)) + "), }";
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file << "\x93NUMPY" << '\x01' << '\0' << char(header.size() % 256) << char(header.size() / 256) << header;
  file.write(static_cast<const char*>(rows.const_data_ptr()), rows.nbytes());
}

}  // namespace

int main(int count, char** words) {
  try {
    TORCH_CHECK(count == 4, "usage: predict MODEL INPUT OUTPUT");
    const c10::InferenceMode guard;
    auto module = torch::jit::load(words[1]);
    module.eval();
    write(words[3], module.forward({read(words[2])}).toTensor());
    std::cout << "libtorch " << TORCH_VERSION << std::endl;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}
