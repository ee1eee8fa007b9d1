// Submits the answer to the app. Without this, its button does the same.
document.getElementById("answer").submit();
