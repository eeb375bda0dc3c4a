// Reads trees of lxml without a Python object for each element.
//
// The structs are those of lxml's public C interface (lxml.etree.h in its wheels) and of libxml2's tree.h, as far as
// they are read here. The order of their fields is a part of both binary interfaces.
#pragma once

#include <Python.h>

namespace kernels {

struct XmlAttribute;

struct XmlNode {
  void* of_user;
  int type;
  const char* name;
  XmlNode* children;
  XmlNode* last;
  XmlNode* parent;
  XmlNode* next;
  XmlNode* previous;
  void* document;
  void* space;  // null without a namespace
  const char* content;
  XmlAttribute* attributes;
};

struct XmlAttribute {
  void* of_user;
  int type;
  const char* name;
  XmlNode* children;
  XmlNode* last;
  XmlNode* parent;
  XmlAttribute* next;
  XmlAttribute* previous;
  void* document;
  void* space;
};

constexpr int kXmlElement = 1, kXmlText = 3, kXmlSection = 4;

struct LxmlElement {
  PyObject_HEAD PyObject* document;
  XmlNode* node;
  PyObject* tag;
};

// Returns the node after `node` in document order, inside of `root`, or null.
inline XmlNode* next_node(const XmlNode* root, XmlNode* node) {
  if (node->type == kXmlElement && node->children != nullptr) return node->children;
  while (node != root && node->next == nullptr) node = node->parent;
  return node == root ? nullptr : node->next;
}

// Returns the element after `node` in document order, inside of `root`, or null.
inline XmlNode* next_element(const XmlNode* root, XmlNode* node) {
  do {
    node = next_node(root, node);
  } while (node != nullptr && node->type != kXmlElement);
  return node;
}

}  // namespace kernels
