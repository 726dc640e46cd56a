# brew install --HEAD packaging/homebrew/onnx-repvgg-fuse.rb, once OWNER is filled in.
class OnnxRepvggFuse < Formula
  desc "Fuse re-parameterisation branches of ONNX models, exactly"
  homepage "https://github.com/OWNER/onnx-repvgg-fuse"
  license "Apache-2.0"
  head "https://github.com/OWNER/onnx-repvgg-fuse.git", branch: "main"

  depends_on "meson" => :build
  depends_on "ninja" => :build
  depends_on "pkgconf" => :build
  depends_on "protobuf-c"

  # As subprojects/dagre.wrap has it.
  resource "dagre" do
    url "https://registry.npmjs.org/@dagrejs/dagre/-/dagre-3.1.3.tgz"
    sha256 "12441833c8af49e5a241d94bfd53159875965876b3f4f3214abafe1ed6a9ee4c"
  end

  def install
    resource("dagre").fetch
    (buildpath/"subprojects/packagecache").mkpath
    cp resource("dagre").cached_download, buildpath/"subprojects/packagecache/dagre-3.1.3.tgz"
    system "meson", "setup", "build", "-Dwerror=false", "-Ddagre=enabled", *std_meson_args
    system "meson", "install", "-C", "build"
    pkgshare.install "models/repvgg_small.onnx"
  end

  test do
    system bin/"onnx-repvgg-fuse", pkgshare/"repvgg_small.onnx", "fused.onnx"
    system bin/"onnx-repvgg-fuse", "verify", pkgshare/"repvgg_small.onnx", "fused.onnx"
  end
end
