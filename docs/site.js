// The search of a site that is opened as files, without a server: browsers start no worker there. A hidden frame runs the
// worker's script instead, and messages are passed as events.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.answer = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      frame.srcdoc =
        "<script>postMessage = (data) => frameElement.answer(data)<\/script>" + `<script src="${url}"><\/script>`;
      this.running = new Promise((resolve) => {
        frame.onload = () => resolve(frame.contentWindow);
      });
      document.documentElement.append(frame);
    }

    postMessage(data) {
      this.running.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
